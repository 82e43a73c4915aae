// A running SFTP listener over the fakes, and the real clients that talk to it.
// Must not assert anything.
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Test } from 'tap'
import type { Config } from '../../../src/config/schema.ts'
import type { LogLine } from '../../../src/core/log.ts'
import { createLogger } from '../../../src/core/log.ts'
import { toPrincipal } from '../../../src/core/user.ts'
import type { ListenerContext } from '../../../src/listeners/listener.ts'
import { createTunedListener } from '../../../src/listeners/sftp/listener.ts'
import { TUNING, type Tuning } from '../../../src/listeners/sftp/tuning.ts'
import { run as runProgram } from '../../support/run.ts'
import { type KeyType, makeSshKey } from '../../support/ssh-keys.ts'
import { FakeFiles, FakeGatekeeper } from './fake-files.ts'

export const PASSWORD = 'correct horse'

export function makeKey(dir: string, name: string, type: KeyType, bits?: number): string {
  const file = join(dir, name)
  makeSshKey(file, type, bits)
  return file
}

/** Made once for all tests of a file: an RSA key costs more than most of them. */
let keys: { readonly host: readonly string[]; readonly identity: string } | undefined

function ownKeys() {
  if (keys) return keys
  const dir = mkdtempSync(join(tmpdir(), 'sftp-keys-'))
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  const host = [makeKey(dir, 'host_ed25519', 'ed25519'), makeKey(dir, 'host_ecdsa', 'ecdsa'), makeKey(dir, 'host_rsa', 'rsa', 3072)]
  keys = { host, identity: makeKey(dir, 'id_ed25519', 'ed25519') }
  return keys
}

export interface SetupOptions {
  readonly tuning?: Partial<Tuning>
  readonly limits?: Partial<Config['limits']>
  readonly sftp?: Partial<Config['sftp']>
}

/** A listener with one user, `partner`, who has a password and an ed25519 key. Everything is gone when the test ends. */
export async function setup(t: Test, options: SetupOptions = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'sftp-listener-'))
  const home = join(dir, 'home')
  const local = join(dir, 'local')
  mkdirSync(home)
  mkdirSync(local)
  const { host, identity: key } = ownKeys()
  for (const file of [...host, ...host.map((each) => `${each}.pub`), key, `${key}.pub`]) copyFileSync(file, join(dir, basename(file)))
  const hostKeys = host.map((file) => readFileSync(file, 'utf8'))
  const identity = join(dir, basename(key))
  const keyBlob = Buffer.from(readFileSync(`${identity}.pub`, 'utf8').split(' ')[1]!, 'base64')
  const gatekeeper = new FakeGatekeeper()
  gatekeeper.users.set('partner', { password: PASSWORD, keyBlob, principal: toPrincipal({ username: 'partner' }, home) })
  const files: FakeFiles[] = []
  const log: string[] = []
  const lines: LogLine[] = []
  const config = {
    sftp: { enabled: true, host: '127.0.0.1', port: 0, host_keys: [], banner: null, legacy: false, ...options.sftp },
    limits: { idle_timeout: 600e3, login_timeout: 30e3, transfer_stall_timeout: 120e3, ...options.limits },
  } as unknown as Config
  const context: ListenerContext = {
    config,
    gatekeeper,
    log: createLogger('sftp', (line) => lines.push(line)),
    credentials: { hostKeys, tls: null },
    port: 0,
    openFilesystem(session) {
      const made = new FakeFiles(session.principal, session.id, log)
      files.push(made)
      return made
    },
  }
  const listener = createTunedListener(context, { ...TUNING, ...options.tuning })
  const port = await listener.start()
  const askpass = join(dir, 'askpass')
  writeFileSync(askpass, `#!/bin/sh\necho '${PASSWORD}'\n`)
  chmodSync(askpass, 0o700)
  t.teardown(async () => {
    await listener.stop(0)
    rmSync(dir, { recursive: true, force: true })
  })
  const env = { ...process.env, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force', DISPLAY: ':0', HOME: dir }
  const common = ['-F', '/dev/null', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR']
  const ssh = [...common, '-o', `IdentityFile=${identity}`, '-o', 'IdentitiesOnly=yes', '-P', String(port)]
  return {
    dir,
    home,
    local,
    identity,
    gatekeeper,
    files,
    log,
    lines,
    listener,
    context,
    config,
    port,
    env,
    common,
    ssh,
    /** A batch of sftp commands, logged in by key. */
    sftp: (commands: string, args: readonly string[] = []) =>
      run('sftp', [...ssh, ...args, '-b', '-', 'partner@127.0.0.1'], { env, cwd: local, input: commands }),
    scp: (args: readonly string[]) => run('scp', [...ssh, ...args], { env, cwd: local }),
    run: (command: string, args: readonly string[], input?: string) => run(command, args, { env, cwd: local, ...(input ? { input } : {}) }),
  }
}

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
}

async function run(
  command: string,
  args: readonly string[],
  options: { env: NodeJS.ProcessEnv; cwd: string; input?: string },
): Promise<Ran> {
  const { code, stdout: out, stderr: err } = await runProgram(command, args, options)
  return { code, out, err }
}
