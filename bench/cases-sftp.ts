// SFTP as partners use it: OpenSSH's own client, one or four at once, and sessions that only wait.
// Must not verify content; the tests do.
import { readFileSync } from 'node:fs'
import ssh2 from 'ssh2'
import { type Case, done, holdSessions } from './cases.ts'
import type { Material } from './material.ts'
import type { Target } from './targets.ts'

const GCM = ['-c', 'aes128-gcm@openssh.com']
const OPTIONS = [
  '-q',
  '-F',
  '/dev/null',
  '-o',
  'StrictHostKeyChecking=no',
  '-o',
  'UserKnownHostsFile=/dev/null',
  '-o',
  'IdentitiesOnly=yes',
]

const sftp = (target: Target, commands: readonly string[], extra: readonly string[] = []): Promise<void> =>
  done(
    'sftp',
    [...OPTIONS, ...extra, '-i', target.keyFile, '-P', String(target.port), '-b', '-', `${target.username}@127.0.0.1`],
    `${commands.join('\n')}\n`,
  )

const put = (target: Target, file: string, name: string, extra?: readonly string[]): Promise<void> =>
  sftp(target, [`put ${file} ${target.remote}/${name}`], extra)
const get = (target: Target, name: string, extra?: readonly string[]): Promise<void> =>
  sftp(target, [`get ${target.remote}/${name} /dev/null`], extra)
const putSmall = (target: Target, material: Material): Promise<void> => sftp(target, [`put -r ${material.small} ${target.remote}/small`])
const putLarge = (target: Target, material: Material): Promise<void> => put(target, material.large, 'large')
const FOUR = [0, 1, 2, 3]
const atOnce = (work: (n: number) => Promise<void>): Promise<void> => Promise.all(FOUR.map(work)).then(() => {})

export const SFTP_CASES: readonly Case[] = [
  { name: 'up 1 GiB, aes128-gcm', places: ['tmpfs', 'disk'], run: (target, material) => put(target, material.large, 'large', GCM) },
  { name: 'down 1 GiB, aes128-gcm', places: ['tmpfs'], prepare: putLarge, run: (target) => get(target, 'large', GCM) },
  { name: 'up 1 GiB, default cipher', places: ['tmpfs', 'disk'], run: putLarge },
  { name: 'down 1 GiB, default cipher', places: ['tmpfs'], prepare: putLarge, run: (target) => get(target, 'large') },
  {
    name: '4 clients up, 256 MiB each',
    places: ['tmpfs'],
    run: (target, material) => atOnce((n) => put(target, material.quarter, `q${n}`)),
  },
  {
    name: '4 clients down, 256 MiB each',
    places: ['tmpfs'],
    prepare: (target, material) => atOnce((n) => put(target, material.quarter, `q${n}`)),
    run: (target) => atOnce((n) => get(target, `q${n}`)),
  },
  { name: '1,000 × 1 kB up', places: ['tmpfs', 'disk'], run: putSmall },
  {
    name: '1,000 × 1 kB down',
    places: ['tmpfs'],
    prepare: putSmall,
    run: (target, material) => sftp(target, [`get -r ${target.remote}/small ${material.folder}/got`]),
  },
  {
    name: '40 logins, one after the other',
    places: ['tmpfs'],
    async run(target, material) {
      for (let i = 0; i < material.sizes.logins; i++) await sftp(target, ['pwd'])
    },
  },
  {
    name: '40 logins, 8 at once',
    places: ['tmpfs'],
    async run(target, material) {
      let left = material.sizes.logins
      await Promise.all(
        Array.from({ length: 8 }, async () => {
          while (left-- > 0) await sftp(target, ['pwd'])
        }),
      )
    },
  },
  {
    name: '200 idle sessions, kB each',
    places: ['tmpfs'],
    measure: (target, material) => holdSessions(target, material.sizes.sessions, () => idle(target)),
  },
]

/** Logs in, opens the SFTP subsystem and stays. */
function idle(target: Target): Promise<() => void> {
  const client = new ssh2.Client()
  return new Promise((resolve, reject) => {
    client
      .on('error', reject)
      .on('ready', () => client.subsys('sftp', (error) => (error ? reject(error) : resolve(() => client.destroy()))))
      .connect({
        host: '127.0.0.1',
        port: target.port,
        username: target.username,
        privateKey: readFileSync(target.keyFile),
        readyTimeout: 60_000,
      })
  })
}
