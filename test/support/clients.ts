// Partners' clients as partners start them: real programs, told only host, port and password.
// Must not verify anything; tests look at the disk and the far end.
import { type Ran, run, type TestGateway } from './gateway.ts'

/** lftp over explicit TLS, as one script; fails at the first command that fails. */
export function lftp(
  gateway: TestGateway,
  user: string,
  password: string,
  commands: readonly string[],
  options: { protocol?: 'ftp' | 'sftp' } = {},
): Promise<Ran> {
  const { protocol = 'ftp' } = options
  const script = [
    'set cmd:fail-exit yes',
    'set net:max-retries 2',
    'set net:timeout 20',
    'set ssl:verify-certificate no',
    'set ftp:ssl-force yes',
    'set ftp:ssl-protect-data yes',
    'set sftp:auto-confirm yes',
    'set sftp:connect-program "ssh -a -x -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"',
    `open -u ${user},${password} ${protocol}://127.0.0.1:${gateway.ports[protocol]}`,
    ...commands,
    'bye',
  ]
  return run('lftp', ['--norc', '-c', script.join('\n')], { env: { LC_ALL: 'C.UTF-8' } })
}

/** OpenSSH sftp by password, with a batch of commands on standard input. */
export function sftp(
  gateway: TestGateway,
  user: string,
  password: string,
  commands: readonly string[],
  extra: readonly string[] = [],
): Promise<Ran> {
  return run('sshpass', ['-e', 'sftp', ...SSH_OPTIONS, '-P', String(gateway.ports.sftp), ...extra, '-b', '-', `${user}@127.0.0.1`], {
    input: `${commands.join('\n')}\n`,
    env: { SSHPASS: password, LC_ALL: 'C.UTF-8' },
  })
}

export const SSH_OPTIONS = [
  '-q',
  '-o',
  'StrictHostKeyChecking=no',
  '-o',
  'UserKnownHostsFile=/dev/null',
  '-o',
  'BatchMode=no',
  '-o',
  'PubkeyAuthentication=no',
  '-o',
  'NumberOfPasswordPrompts=1',
] as const

/** curl uploads one file over explicit TLS; unlike lftp it never tries again by itself. `resume` asks the server how much it has. */
export function curlUpload(gateway: TestGateway, user: string, password: string, file: string, name: string, resume = false): Promise<Ran> {
  const url = `ftp://127.0.0.1:${gateway.ports.ftp}/${encodeURIComponent(name)}`
  return run('curl', ['-sS', '--ssl-reqd', '--insecure', '--user', `${user}:${password}`, ...(resume ? ['-C', '-'] : []), '-T', file, url])
}
