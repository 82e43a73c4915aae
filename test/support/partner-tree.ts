// A partner's tree of files with awkward names, a gateway that forwards it, and the questions that each client's test asks of the disk.
// Must not start a client.
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { t as root, type Test } from 'tap'
import { type Ran, startGateway, type TestGateway, until } from './gateway.ts'

export const PASSWORD = 'correct-horse-battery'
export const TREE: Readonly<Record<string, Buffer>> = {
  'a.txt': Buffer.from('hello\n'),
  'empty.dat': Buffer.alloc(0),
  'Übergröße – ñ 日本.csv': randomBytes(3_001),
  'sub/with space & (brackets) [x] #1.bin': randomBytes(300_007),
  "sub/deeper/it's 100%.txt": randomBytes(64 * 1024),
  'sub/large.bin': randomBytes(3 * 2 ** 20 + 1),
}

export interface Scene {
  readonly gateway: TestGateway
  readonly folder: string
  readonly out: string
  readonly target: string
}

/** One for all tests of a file. */
const gateway = await startGateway(root)

/** A user that no other test of the file has, with a destination of its own. */
export async function scene(t: Test, user: string, more: { require_tls?: boolean } = {}): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-tools-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const out = join(folder, 'out')
  const target = join(folder, 'target')
  await mkdir(target)
  for (const [name, content] of Object.entries(TREE)) await put(join(out, name), content)
  await gateway.apply({
    users: [{ username: user, password: PASSWORD, ...more }],
    destinations: [{ name: user, type: 'local', base_path: target }],
    rules: [{ name: user, source: { path: '/**', users: [user] }, deliver: [{ to: user, path: '/{user}/{path}' }] }],
  })
  return { gateway, folder, out, target }
}

export async function put(path: string, content: Buffer | string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, content)
}

export const ok = (t: Test, ran: Ran, what: string): boolean =>
  t.equal(ran.code, 0, `${what}: ${ran.code ? ran.stderr + ran.stdout : 'exit 0'}`)

export async function holdsTree(t: Test, root: string, what: string): Promise<void> {
  for (const [name, content] of Object.entries(TREE)) {
    t.ok(content.equals(await readFile(join(root, name)).catch(() => Buffer.from('missing'))), `${what}: ${name}`)
  }
}

/** Exactly one delivery for each name, all delivered, and the very bytes at the destination. */
export async function deliveredTree(t: Test, { gateway, target }: Scene, user: string, prefix: string): Promise<void> {
  await until('all deliveries', async () => {
    const all = await gateway.deliveries()
    return Object.keys(TREE).every((name) => all.some((d) => d.user === user && d.path === `/${prefix}${name}` && d.state === 'delivered'))
  })
  const all = (await gateway.deliveries()).filter((d) => d.user === user && d.path.startsWith(`/${prefix}`))
  t.equal(all.length, Object.keys(TREE).length, `${prefix} one delivery for each file`)
  await holdsTree(t, join(target, user, prefix), `${prefix} at the destination`)
}
