// A real ProFTPD as a far side, plain or with TLS: other habits than vsftpd's (MLSD, HASH, a user of its own file). Unpacked beside vsftpd, whose package excludes it.
// Must not touch anything of the machine's own.
import { execFileSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { chmod, chown, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort, needBinary, needRoot, startFarProcess, type TearsDown } from './far-process.ts'
import { makeCertificate } from './far-vsftpd.ts'

/** Where `.ci/peers` unpacks it. */
const UNPACKED = join(import.meta.dirname, '../../.peers/proftpd')
const NOBODY = 65534

export interface FarProftpd {
  readonly host: string
  readonly port: number
  readonly username: string
  readonly password: string
  /** The login's folder; at the far side it is `/`. */
  readonly root: string
  readonly certificate: string
}

/** @throws Error that says what is missing */
export async function startFarProftpd(
  t: TearsDown,
  { tls, config = [] }: { tls: boolean; config?: readonly string[] },
): Promise<FarProftpd> {
  const binary = join(UNPACKED, 'usr/sbin/proftpd')
  if (!existsSync(binary)) throw new Error(`${binary} is missing: run .ci/peers`)
  needBinary('/usr/bin/openssl', 'openssl')
  needRoot('ProFTPD')
  const folder = await mkdtemp('/tmp/fileflow-proftpd-')
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const at = (name: string) => join(folder, name)
  const [username, password] = ['partner', 'far-side-password']
  await mkdir(at('files'))
  await chmod(folder, 0o755)
  await chown(at('files'), NOBODY, NOBODY)
  const hash = execFileSync('/usr/bin/openssl', ['passwd', '-6', '-stdin'], { input: password, encoding: 'utf8' }).trim()
  await writeFile(at('passwd'), `${username}:${hash}:${NOBODY}:${NOBODY}::${at('files')}:/bin/sh\n`, { mode: 0o600 })
  makeCertificate(at('key.pem'), at('cert.pem'))
  await chmod(at('key.pem'), 0o600)
  const port = await freePort()
  const lines = [
    `ModulePath ${join(UNPACKED, 'usr/lib/proftpd')}`,
    'LoadModule mod_tls.c',
    'LoadModule mod_digest.c',
    'ServerType standalone',
    'DefaultAddress 127.0.0.1',
    'SocketBindTight on',
    `Port ${port}`,
    'UseReverseDNS off',
    'User nobody',
    'Group nogroup',
    `PidFile ${at('pid')}`,
    `ScoreboardFile ${at('scoreboard')}`,
    `SystemLog ${at('log')}`,
    'DelayEngine off',
    'AuthOrder mod_auth_file.c',
    `AuthUserFile ${at('passwd')}`,
    'RequireValidShell off',
    'DefaultRoot ~',
    'Umask 022',
    'AllowOverwrite on',
    'AllowStoreRestart on',
    'PassivePorts 32000 32999',
    ...(tls
      ? ['TLSEngine on', 'TLSRequired on', `TLSRSACertificateFile ${at('cert.pem')}`, `TLSRSACertificateKeyFile ${at('key.pem')}`]
      : []),
    ...config,
  ]
  await writeFile(at('config'), `${lines.join('\n')}\n`)
  const libraries = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map((machine) => join(UNPACKED, 'usr/lib', machine)).join(':')
  const far = await startFarProcess('/usr/bin/env', [`LD_LIBRARY_PATH=${libraries}`, binary, '-n', '-c', at('config')], port)
  t.teardown(() => far.stop())
  return { host: '127.0.0.1', port, username, password, root: at('files'), certificate: await readFile(at('cert.pem'), 'utf8') }
}
