// MLST's `perm` fact against what the commands then do, for users with other rights each.
// Must not know the rules: the letters are a promise of RFC 3659 §7.5.5, and the commands are the judge.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { PERMISSIONS } from '../../src/core/permission.ts'
import { RawClient, received } from '../listeners/ftp/support.ts'
import { startGateway } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'

async function sends(client: RawClient, command: string): Promise<boolean> {
  const data = await client.data()
  if (!(await client.ask(command)).startsWith('150')) {
    data.destroy()
    return false
  }
  data.end('more')
  return (await client.reply()).startsWith('226')
}

async function gets(client: RawClient, command: string): Promise<boolean> {
  const data = await client.data()
  const bytes = received(data).catch(() => undefined)
  if (!(await client.ask(command)).startsWith('150')) {
    data.destroy()
    return false
  }
  await bytes
  return (await client.reply()).startsWith('226')
}

const says = async (client: RawClient, command: string): Promise<boolean> => (await client.ask(command)).startsWith('2')

async function renames(client: RawClient, path: string): Promise<boolean> {
  if (!(await client.ask(`RNFR ${path}`)).startsWith('350')) return false
  // where it may go is another row's to say
  if (path === '/zone/dir') return true
  return says(client, `RNTO ${path === '/' ? '/root' : path}-2`)
}

type Try = (client: RawClient, path: string) => Promise<boolean>
const FILE: Record<string, Try> = {
  a: (c, path) => sends(c, `APPE ${path}`),
  w: (c, path) => sends(c, `STOR ${path}`),
  r: (c, path) => gets(c, `RETR ${path}`),
  d: (c, path) => says(c, `DELE ${path}`),
  f: renames,
}
const FOLDER: Record<string, Try> = {
  c: (c, path) => sends(c, `STOR ${path}/new`),
  d: (c, path) => says(c, `RMD ${path}`),
  e: (c, path) => says(c, `CWD ${path}`),
  f: renames,
  l: (c, path) => gets(c, `MLSD ${path}`),
  m: (c, path) => says(c, `MKD ${path}/made`),
  p: (c, path) => says(c, `DELE ${path}/inner`),
}

test('MLST’s perm fact says exactly what the user can do there: each letter is tried, given or not', async (t) => {
  const gateway = await startGateway(t)
  const shared = join(gateway.folder, 'shared')
  const lay = (folder: string): void => {
    rmSync(folder, { recursive: true, force: true })
    for (const name of ['zone/dir', 'zone/empty']) mkdirSync(join(folder, name), { recursive: true })
    for (const name of ['inner', 'zone/inner', 'zone/dir/inner']) writeFileSync(join(folder, name), 'content')
  }
  lay(shared)
  const users = [...PERMISSIONS, 'all' as const].map((one, i) => ({
    username: `user${i}`,
    password: PASSWORD,
    require_tls: false,
    mounts: [{ path: '/fixed', target: shared, read_only: true }],
    permissions: [
      { path: '/', allow: one === 'all' ? [...PERMISSIONS] : [...new Set(['list' as const, one])] },
      { path: '/zone/dir', allow: PERMISSIONS.filter((each) => each !== one) },
    ],
  }))
  await gateway.apply({ users })
  for (const { username, permissions } of users) {
    const home = join(gateway.files, username)
    const client = await RawClient.open(gateway.ports.ftp)
    t.teardown(() => client.socket.destroy())
    await client.ask(`USER ${username}`)
    t.match(await client.ask(`PASS ${PASSWORD}`), /^230 /)
    for (const path of [
      '/inner',
      '/zone/dir/inner',
      '/fixed/inner',
      '/',
      '/zone',
      '/zone/dir',
      '/zone/empty',
      '/fixed',
      '/fixed/zone/empty',
    ]) {
      lay(home)
      const shown = await client.ask(`MLST ${path}`)
      if (!shown.startsWith('250')) continue
      const letters = /perm=([a-z]*);/.exec(shown)?.[1] ?? '?'
      let could = ''
      for (const [letter, attempt] of Object.entries(/type=dir/.test(shown) ? FOLDER : FILE)) {
        lay(home)
        // a folder that is not empty tells nothing of the right to remove one
        if (letter === 'd' && path.startsWith('/zone') && /type=dir/.test(shown))
          for (const name of readdirSync(join(home, path))) rmSync(join(home, path, name), { recursive: true })
        if (letter === 'p' && path.endsWith('/empty'))
          writeFileSync(join(path.startsWith('/fixed') ? shared : home, 'zone/empty/inner'), '')
        if (await attempt(client, path)) could += letter
        rmSync(join(shared, 'zone/empty/inner'), { force: true })
      }
      t.equal(
        [...letters].sort().join(''),
        [...could].sort().join(''),
        `${path} for ${JSON.stringify(permissions.map((row) => row.allow))}`,
      )
    }
  }
})
