// A real OpenSSH server as a far side: its own host key, key login for the present user, the SFTP service.
// Must not touch the machine's own SSH configuration.
import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { type FarProcess, freePort, needBinary, startFarProcess, type TearsDown } from './far-process.ts'
import { makeSshKey } from './ssh-keys.ts'

export interface FarSshdOptions {
  /** Commands may be run too (sha256sum); otherwise every login gets SFTP only. */
  readonly shell?: boolean
  /** Where its folder is made; default is the system's for temporary files. */
  readonly parent?: string
  /** More lines for sshd_config. */
  readonly config?: readonly string[]
}

export interface FarSshd {
  readonly host: string
  readonly port: number
  readonly username: string
  /** Of the ed25519 host key, as ssh-keygen -l prints it: SHA256:… */
  readonly fingerprint: string
  /** Of the RSA host key of the same server. */
  readonly rsaFingerprint: string
  /** An OpenSSH private key that may log in. */
  readonly privateKey: string
  /** An empty folder for files; its path is the same at the far side. */
  readonly root: string
  readonly process: FarProcess
  stop(): Promise<void>
}

/** Stops with the test when one is given. @throws Error that says what is missing */
export async function startFarSshd(t?: TearsDown, options: FarSshdOptions = {}): Promise<FarSshd> {
  needBinary('/usr/sbin/sshd', 'openssh-server')
  needBinary('/usr/bin/ssh-keygen', 'openssh-client')
  const folder = await mkdtemp(join(options.parent ?? tmpdir(), 'fileflow-sshd-'))
  const at = (name: string) => join(folder, name)
  // Synchronous, so that it also happens when the test process ends without stopping it.
  const undo = () => {
    process.removeListener('exit', undo)
    rmSync(folder, { recursive: true, force: true })
  }
  process.once('exit', undo)
  try {
    const root = at('files')
    await mkdir(root)
    makeSshKey(at('host_ed25519'), 'ed25519')
    makeSshKey(at('host_rsa'), 'rsa', 2048)
    makeSshKey(at('client'), 'ed25519')
    await writeFile(at('authorized_keys'), await readFile(at('client.pub')))
    await chmod(at('authorized_keys'), 0o600)
    // sshd wants its privilege separation folder; in a container nobody has made it yet.
    if (process.getuid?.() === 0) await mkdir('/run/sshd', { recursive: true, mode: 0o755 })
    const port = await freePort()
    const lines = [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${at('host_ed25519')}`,
      `HostKey ${at('host_rsa')}`,
      `PidFile ${at('pid')}`,
      `AuthorizedKeysFile ${at('authorized_keys')}`,
      'PermitRootLogin yes',
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication yes',
      'KbdInteractiveAuthentication no',
      'MaxStartups 100',
      'LogLevel VERBOSE',
      'Subsystem sftp internal-sftp',
      ...(options.shell ? [] : ['ForceCommand internal-sftp']),
      ...(options.config ?? []),
    ]
    await writeFile(at('config'), `${lines.join('\n')}\n`)
    const far = await startFarProcess('/usr/sbin/sshd', ['-D', '-e', '-f', at('config')], port)
    const stop = async () => {
      await far.stop()
      undo()
    }
    t?.teardown(stop)
    return {
      host: '127.0.0.1',
      port,
      username: userInfo().username,
      fingerprint: fingerprintOf(at('host_ed25519.pub')),
      rsaFingerprint: fingerprintOf(at('host_rsa.pub')),
      privateKey: await readFile(at('client'), 'utf8'),
      root,
      process: far,
      stop,
    }
  } catch (error) {
    undo()
    throw error
  }
}

const fingerprintOf = (publicKey: string): string =>
  execFileSync('/usr/bin/ssh-keygen', ['-l', '-E', 'sha256', '-f', publicKey], { encoding: 'utf8' }).split(' ')[1]!
