// The same odd packets to us and to OpenSSH's own sftp-server, run as a user without rights over others: answers and folders are the same, but where a promise of ours says otherwise.
// Must not hold what is our choice without its reason.
import { spawn } from 'node:child_process'
import { chmodSync, chownSync, existsSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import type { ClientChannel } from 'ssh2'
import { type Test, test } from 'tap'
import { PERMISSIONS as PERMITTED } from '../../src/core/permission.ts'
import { connect, RawSftp, u32 } from '../listeners/sftp/raw-client.ts'
import { startGateway } from '../support/gateway.ts'
import { CASES, type Side } from '../support/odd-requests.ts'

const PASSWORD = 'correct-horse-battery'
const THEIRS = '/usr/lib/openssh/sftp-server'
const NOBODY = 65534

async function theirs(t: Test): Promise<Side> {
  const folder = mkdtempSync(join(tmpdir(), 'fileflow-theirs-'))
  chmodSync(folder, 0o755)
  chownSync(folder, NOBODY, NOBODY)
  const child = spawn(THEIRS, ['-e', '-d', folder], { uid: NOBODY, gid: NOBODY, stdio: ['pipe', 'pipe', 'ignore'] })
  t.teardown(() => {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  child.stdin.on('error', () => {})
  const channel = Duplex.from({ readable: child.stdout, writable: child.stdin })
  channel.on('error', () => {})
  const raw = new RawSftp(channel as unknown as ClientChannel)
  raw.closed.catch(() => {})
  raw.packet(1, u32(3))
  await raw.next()
  return { raw, folder, path: (name) => join(folder, name) }
}

async function ours(t: Test): Promise<Side> {
  const gateway = await startGateway(t)
  await gateway.apply({ users: [{ username: 'partner', password: PASSWORD, permissions: [{ path: '/', allow: [...PERMITTED] }] }] })
  const client = await connect(gateway.ports.sftp, { password: PASSWORD })
  t.teardown(() => client.destroy())
  return { raw: await RawSftp.open(client), folder: join(gateway.files, 'partner'), path: (name) => `/${name}` }
}

/** What stands in the folder: kinds, permissions and content. */
function tree(folder: string, below = ''): string[] {
  return readdirSync(join(folder, below))
    .sort()
    .flatMap((name) => {
      const path = join(below, name)
      const stat = lstatSync(join(folder, path))
      if (stat.isDirectory()) return [`${path}/`, ...tree(folder, path)]
      if (stat.isSymbolicLink()) return [`${path} -> ${readlinkSync(join(folder, path)).replace(folder, '')}`]
      if (stat.size > 1_000_000) return [`${path} of ${stat.size} bytes`]
      return [`${path} ${(stat.mode & 0o777).toString(8)} ${readFileSync(join(folder, path), 'latin1')}`]
    })
}

/**
 * Left out, because we choose otherwise: what a handle was not opened for is PERMISSION_DENIED (OpenSSH passes EBADF and EINVAL on as NO_SUCH_FILE and BAD_MESSAGE); a folder cannot be
 * opened for reading at all (there, READ fails); a plain RENAME onto the same name changes nothing and is OK; copy-data within one handle works where the parts do not overlap, as its draft
 * says; an owner beside other attributes is passed over; fsync and fstatvfs of a folder are OK; a posix-rename onto the name of another open file is refused; folders and files stay open to the gateway itself.
 */
test('odd requests are answered as OpenSSH answers them, and leave the same files', {
  skip: !existsSync(THEIRS) || process.getuid?.() !== 0,
}, async (t) => {
  const sides = [await theirs(t), await ours(t)] as const
  for (const [name, steps] of Object.entries(CASES)) {
    const results = []
    for (const side of sides) {
      for (const entry of readdirSync(side.folder)) rmSync(join(side.folder, entry), { recursive: true, force: true })
      results.push({ said: await steps(side), tree: tree(side.folder) })
    }
    t.strictSame(results[1]!.said, results[0]!.said, name)
    t.strictSame(results[1]!.tree, results[0]!.tree, `${name}: the files`)
  }
})
