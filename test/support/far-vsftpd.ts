// A real vsftpd as a far side: a local user made for it, plain or with TLS, its own certificate.
// Must not touch the machine's own vsftpd configuration, nor leave the user behind.
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { chown, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { newSecret } from '../../src/core/clock.ts'
import { type FarProcess, freePort, needBinary, needRoot, startFarProcess, type TearsDown } from './far-process.ts'

export interface FarVsftpdOptions {
  /** Stops with this test. */
  readonly t?: TearsDown
  /** Default `off`. `explicit`: AUTH TLS is required for login and data. */
  readonly tls?: 'off' | 'explicit' | 'implicit'
  /** vsftpd's own default is true: a data connection must resume the control connection's session. */
  readonly requireSessionReuse?: boolean
  /** Where its folder is made; its user must be able to enter it. Default /tmp. */
  readonly parent?: string
  /** More lines for vsftpd.conf. */
  readonly config?: readonly string[]
}

export interface FarVsftpd {
  readonly host: string
  readonly port: number
  readonly username: string
  readonly password: string
  /** The login's folder, as it lies on this machine; at the far side it is `/`. */
  readonly root: string
  /** PEM of the certificate for 127.0.0.1 and localhost, which is its own authority; null without TLS. */
  readonly certificate: string | null
  readonly process: FarProcess
  stop(): Promise<void>
}

/** @throws Error that says what is missing */
export async function startFarVsftpd(options: FarVsftpdOptions = {}): Promise<FarVsftpd> {
  needBinary('/usr/sbin/vsftpd', 'vsftpd')
  needRoot('vsftpd')
  const { tls = 'off' } = options
  // Not below a folder that only root may enter: vsftpd works as the user.
  const folder = await mkdtemp(join(options.parent ?? '/tmp', 'fileflow-vsftpd-'))
  const at = (name: string) => join(folder, name)
  const username = `ff${newSecret(6)
    .toLowerCase()
    .replace(/[^a-z0-9]/g, 'x')}`
  const password = newSecret(12)
  // Synchronous, so that it also happens when the test process ends without stopping it.
  const undo = () => {
    process.removeListener('exit', undo)
    // 6 is `no such user`: then there is nothing to undo. 12 is about its mailbox.
    runAllowing('/usr/sbin/userdel', ['-f', username], [0, 6, 12])
    rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', undo)
  try {
    const root = at('files')
    await mkdir(root)
    await mkdir(at('empty'))
    execFileSync('/bin/chmod', ['0755', folder, at('empty')])
    execFileSync('/usr/sbin/useradd', ['--home-dir', root, '--no-create-home', '--shell', '/bin/sh', username], { stdio: 'pipe' })
    execFileSync('/usr/sbin/chpasswd', { input: `${username}:${password}\n`, stdio: 'pipe' })
    await chown(root, Number(idOf('-u', username)), Number(idOf('-g', username)))
    await writeFile(at('pam'), '')
    if (tls !== 'off') makeCertificate(at('key.pem'), at('cert.pem'))
    const port = await freePort()
    const lines = [
      'listen=YES',
      'listen_address=127.0.0.1',
      `listen_port=${port}`,
      'background=NO',
      'anonymous_enable=NO',
      'local_enable=YES',
      'write_enable=YES',
      'local_umask=022',
      'chroot_local_user=YES',
      'allow_writeable_chroot=YES',
      `secure_chroot_dir=${at('empty')}`,
      'seccomp_sandbox=NO',
      'xferlog_enable=YES',
      'log_ftp_protocol=YES',
      `vsftpd_log_file=${at('log')}`,
      'xferlog_std_format=NO',
      'pasv_min_port=31000',
      'pasv_max_port=31999',
      'max_per_ip=0',
      // Wrong passwords are part of the tests: they should not make them slow.
      'delay_failed_login=0',
      ...tlsLines(tls, at, options.requireSessionReuse ?? true),
      ...(options.config ?? []),
    ]
    await writeFile(at('vsftpd.conf'), `${lines.join('\n')}\n`)
    const far = await startFarProcess('/usr/sbin/vsftpd', [at('vsftpd.conf')], port)
    const stop = async () => {
      await far.stop()
      undo()
    }
    options.t?.teardown(stop)
    const certificate = tls === 'off' ? null : await readFile(at('cert.pem'), 'utf8')
    return { host: '127.0.0.1', port, username, password, root, certificate, process: far, stop }
  } catch (error) {
    undo()
    throw error
  }
}

function tlsLines(tls: NonNullable<FarVsftpdOptions['tls']>, at: (name: string) => string, reuse: boolean): string[] {
  if (tls === 'off') return ['ssl_enable=NO']
  return [
    'ssl_enable=YES',
    `implicit_ssl=${tls === 'implicit' ? 'YES' : 'NO'}`,
    'force_local_logins_ssl=YES',
    'force_local_data_ssl=YES',
    `require_ssl_reuse=${reuse ? 'YES' : 'NO'}`,
    'ssl_ciphers=HIGH',
    `rsa_cert_file=${at('cert.pem')}`,
    `rsa_private_key_file=${at('key.pem')}`,
  ]
}

/** For 127.0.0.1 and localhost, its own authority. */
export function makeCertificate(key: string, cert: string): void {
  needBinary('/usr/bin/openssl', 'openssl')
  execFileSync(
    '/usr/bin/openssl',
    [
      ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
      ...['-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert],
    ],
    { stdio: 'pipe' },
  )
}

const idOf = (flag: '-u' | '-g', username: string): string => execFileSync('/usr/bin/id', [flag, username], { encoding: 'utf8' }).trim()

function runAllowing(command: string, args: readonly string[], allowed: readonly number[]): void {
  try {
    execFileSync(command, args, { stdio: 'pipe' })
  } catch (error) {
    const { status } = error as { status?: number }
    if (status === undefined || !allowed.includes(status)) throw error
  }
}
