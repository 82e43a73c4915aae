// FTP as partners use it: curl for large files, lftp and curl for many small ones, and sessions that only wait.
// Must not verify content; the tests do.
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Case, done, holdSessions } from './cases.ts'
import type { Material } from './material.ts'
import type { Target } from './targets.ts'

const url = (target: Target, path: string): string => `ftp://127.0.0.1:${target.port}/${path}`
const login = (target: Target): string[] => ['-sS', '--user', `${target.username}:${target.password}`]
const TLS = ['--ssl-reqd', '--insecure']

const curl = (target: Target, args: readonly string[]): Promise<void> => done('curl', [...login(target), ...args])

const CLEAR = 'set ftp:ssl-allow no'
const PRIVATE = 'set ftp:ssl-force yes\nset ftp:ssl-protect-data yes\nset ssl:verify-certificate no'

const lftp = (target: Target, command: string, security = CLEAR): Promise<void> =>
  done('lftp', [
    '--norc',
    '-c',
    [security, 'set cmd:fail-exit yes', `open -u "${target.username},${target.password}" ftp://127.0.0.1:${target.port}`, command].join(
      '\n',
    ),
  ])

/** Python's ftplib, one connection, a file after the other: what a script does. (curl sends many files, too, but waits a second of its own before some of them.) */
const SCRIPT = `import ftplib, io, sys
host, port, user, password, count = sys.argv[1:]
client = ftplib.FTP()
client.connect(host, int(port))
client.login(user, password)
for i in range(int(count)):
    client.storbinary(f"STOR f{i}", io.BytesIO(b"x" * 1000))
client.quit()`

const script = (target: Target, material: Material): Promise<void> =>
  done('python3', ['-c', SCRIPT, '127.0.0.1', String(target.port), target.username, target.password, String(material.sizes.smallFiles)])

const curlMany = (target: Target, material: Material): Promise<void> =>
  curl(target, [`${url(target, 'small/')}f[0-${material.sizes.smallFiles - 1}]`, '-o', join(material.folder, 'got/#1'), '--create-dirs'])

const putSmall = (target: Target, material: Material): Promise<void> => lftp(target, `mirror -R ${material.small} small`)
const putLarge = (target: Target, material: Material): Promise<void> => curl(target, ['-T', material.large, url(target, 'large')])

export const FTP_CASES: readonly Case[] = [
  { name: 'STOR 1 GiB', places: ['tmpfs', 'disk'], run: putLarge },
  { name: 'RETR 1 GiB', places: ['tmpfs'], prepare: putLarge, run: (target) => curl(target, ['-o', '/dev/null', url(target, 'large')]) },
  {
    name: 'STOR 1 GiB, TLS',
    places: ['tmpfs'],
    run: (target, material) => curl(target, [...TLS, '-T', material.large, url(target, 'large')]),
  },
  {
    name: 'RETR 1 GiB, TLS',
    places: ['tmpfs'],
    prepare: putLarge,
    run: (target) => curl(target, [...TLS, '-o', '/dev/null', url(target, 'large')]),
  },
  { name: '1,000 × 1 kB up, lftp', places: ['tmpfs', 'disk'], run: putSmall },
  {
    name: '1,000 × 1 kB up, lftp -P4',
    places: ['tmpfs', 'disk'],
    run: (target, material) => lftp(target, `mirror -R -P4 ${material.small} small`),
  },
  {
    name: '1,000 × 1 kB up, lftp, TLS',
    places: ['tmpfs'],
    run: (target, material) => lftp(target, `mirror -R ${material.small} small`, PRIVATE),
  },
  { name: '1,000 × 1 kB up, ftplib', places: ['tmpfs', 'disk'], run: script },
  {
    name: '1,000 × 1 kB down, lftp',
    places: ['tmpfs'],
    prepare: putSmall,
    run: (target, material) => lftp(target, `mirror small ${material.folder}/got`),
  },
  {
    name: '1,000 × 1 kB down, lftp -P4',
    places: ['tmpfs'],
    prepare: putSmall,
    run: (target, material) => lftp(target, `mirror -P4 small ${material.folder}/got`),
  },
  {
    name: '1,000 × 1 kB down, lftp, TLS',
    places: ['tmpfs'],
    prepare: putSmall,
    run: (target, material) => lftp(target, `mirror small ${material.folder}/got`, PRIVATE),
  },
  { name: '1,000 × 1 kB down, curl', places: ['tmpfs'], prepare: putSmall, run: (target, material) => curlMany(target, material) },
  {
    name: '200 idle sessions, kB each',
    places: ['tmpfs'],
    measure: (target, material) => holdSessions(target, material.sizes.sessions, () => idle(target)),
  },
]

/** Logs in and stays. */
async function idle(target: Target): Promise<() => void> {
  const socket = connect(target.port, '127.0.0.1')
  let text = ''
  socket
    .on('error', () => {})
    .on('data', (chunk) => {
      text += chunk
    })
  await answered(socket, () => text.includes('220'))
  socket.write(`USER ${target.username}\r\n`)
  await answered(socket, () => text.includes('331'))
  socket.write(`PASS ${target.password}\r\n`)
  await answered(socket, () => text.includes('230'))
  return () => socket.destroy()
}

function answered(socket: Socket, come: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => come() && resolve()
    socket.on('data', look)
    socket.once('close', () => reject(new Error('the server closed the session')))
    look()
  })
}
