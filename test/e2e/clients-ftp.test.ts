// What partners' FTP programs do beyond a plain put and get: pieces, ranges, appends, globs, many small files, active mode.
// Must not look into the gateway; only at the disk and at what the programs print.
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import { RawClient, received } from '../listeners/ftp/support.ts'
import { MiB, OPEN_LIMITS } from '../support/abuse.ts'
import { lftp } from '../support/clients.ts'
import { type Ran, run, startGateway } from '../support/gateway.ts'

const PASSWORD = 'correct-horse-battery'
const LARGE = randomBytes(5 * MiB + 1)

/** One for all tests of this file. */
const gateway = await startGateway(root, { env: { ...OPEN_LIMITS, FILEFLOW_FTP_ACTIVE: 'true' } })

/** A user of its own for each test. */
async function scene(t: Test, username: string) {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-ftp-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'large'), LARGE)
  await gateway.apply({ users: [{ username, password: PASSWORD, require_tls: false }] })
  return { folder, home: join(gateway.files, username), large: join(folder, 'large') }
}

const ok = (t: Test, ran: Ran, what: string) => t.equal(ran.code, 0, `${what} ${ran.code === 0 ? '' : ran.stderr + ran.stdout}`)

test('lftp fetches one file in four pieces at once and resumes both ways, over TLS', async (t) => {
  const { folder, home, large } = await scene(t, 'lftp')
  const at = (name: string) => join(folder, name)
  await writeFile(at('half'), LARGE.subarray(0, 2 * MiB))
  ok(t, await lftp(gateway, 'lftp', PASSWORD, [`put ${large} -o whole`, `pget -n 4 whole -o ${at('pieces')}`]), 'put, pget')
  t.ok(LARGE.equals(await readFile(at('pieces'))), 'pget -n 4')
  ok(t, await lftp(gateway, 'lftp', PASSWORD, [`get -c whole -o ${at('half')}`]), 'get -c')
  t.ok(LARGE.equals(await readFile(at('half'))), 'get -c goes on')
  await writeFile(join(home, 'there'), LARGE.subarray(0, 3 * MiB))
  ok(t, await lftp(gateway, 'lftp', PASSWORD, [`put -c ${large} -o there`]), 'put -c')
  t.ok(LARGE.equals(await readFile(join(home, 'there'))), 'put -c goes on')
  // curl 7.88 of Debian 12 forgets TLS on active data connections
  const active = ['set ftp:passive-mode no', `put ${large} -o active`, `get active -o ${at('active')}`]
  ok(t, await lftp(gateway, 'lftp', PASSWORD, active), 'active')
  t.ok(LARGE.equals(await readFile(at('active'))), 'active mode, over TLS')
  const sum = await lftp(gateway, 'lftp', PASSWORD, ['quote HASH whole'])
  t.match(sum.stdout, new RegExp(`213 SHA-256 0-${LARGE.length} ${createHash('sha256').update(LARGE).digest('hex')} whole`))
})

test('curl: ranges, appends, several files, every way to walk folders, active and passive, and quoted commands', async (t) => {
  const { folder, home, large } = await scene(t, 'curl')
  const base = `ftp://127.0.0.1:${gateway.ports.ftp}`
  const curl = (...args: string[]) => run('curl', ['-sS', '--user', `curl:${PASSWORD}`, ...args])
  const down = join(folder, 'down')
  for (const method of ['multicwd', 'nocwd', 'singlecwd']) {
    const path = `${method}/a b/ü`
    // only with one CWD a folder curl makes them
    if (method !== 'multicwd') await mkdir(join(home, path), { recursive: true })
    ok(t, await curl('--ftp-create-dirs', '--ftp-method', method, '-T', large, `${base}/${encodeURI(path)}/f`), method)
    t.ok(LARGE.equals(await readFile(join(home, path, 'f'))), method)
  }
  for (const [name, flags] of [
    ['EPRT', ['-P', '-']],
    ['PORT', ['-P', '-', '--disable-eprt']],
    ['PASV', ['--disable-epsv']],
  ] as const) {
    ok(t, await curl(...flags, '-T', large, `${base}/way`), name)
    ok(t, await curl(...flags, '-o', down, `${base}/way`), name)
    t.ok(LARGE.equals(await readFile(down)), name)
  }
  ok(t, await curl('-r', '1000-1999', '-o', down, `${base}/way`), 'range')
  t.ok(LARGE.subarray(1000, 2000).equals(await readFile(down)), '-r')
  ok(t, await curl('-r', '-500', '-o', down, `${base}/way`), 'last bytes')
  t.ok(LARGE.subarray(-500).equals(await readFile(down)), '-r from the end')
  await writeFile(join(folder, 'more'), 'more')
  ok(t, await curl('--append', '-T', join(folder, 'more'), `${base}/way`), 'append')
  t.ok(Buffer.concat([LARGE, Buffer.from('more')]).equals(await readFile(join(home, 'way'))), '--append')
  for (let i = 1; i <= 3; i++) await writeFile(join(folder, `n${i}`), `number ${i}`)
  ok(t, await curl('-T', `${folder}/n[1-3]`, `${base}/`), 'several')
  for (let i = 1; i <= 3; i++) t.equal(await readFile(join(home, `n${i}`), 'utf8'), `number ${i}`)
  ok(
    t,
    await curl('--quote', 'DELE n1', '--quote', '*DELE none', '--quote', 'SITE UTIME 20200102030405 n2', '-o', down, `${base}/n2`),
    'quote',
  )
  const head = await curl('-I', `${base}/n2`)
  t.match(head.stdout, /Content-Length: 8/i)
  t.match(head.stdout, /Last-Modified: Thu, 02 Jan 2020 03:04:05 GMT/i)
  t.notOk((await readdir(home)).includes('n1'))
})

test('a folder into which a user may only put files takes them from clients that change into it first, one of known names gives them, and neither tells what is there', async (t) => {
  const { folder, home, large } = await scene(t, 'dropping')
  await mkdir(join(home, 'in/below'), { recursive: true })
  for (const name of ['known', 'shut']) await mkdir(join(home, name))
  for (const name of ['in', 'known', 'shut']) await writeFile(join(home, name, 'there'), 'there')
  await gateway.api('PATCH', '/users/dropping', {
    permissions: [
      { path: '/', allow: ['list', 'download'] },
      { path: '/in', allow: ['upload', 'mkdir'] },
      { path: '/known', allow: ['download'] },
      { path: '/shut', allow: ['rename'] },
    ],
  })
  const url = `ftp://127.0.0.1:${gateway.ports.ftp}`
  const curl = (...args: string[]) => run('curl', ['-sS', '--user', `dropping:${PASSWORD}`, ...args])
  ok(t, await curl('-T', large, `${url}/in/curl`), 'curl')
  ok(t, await curl('--ftp-create-dirs', '-T', large, `${url}/in/made/curl`), 'curl makes folders')
  ok(t, await lftp(gateway, 'dropping', PASSWORD, ['cd in/below', `put ${large} -o lftp`]), 'lftp')
  for (const name of ['in/curl', 'in/made/curl', 'in/below/lftp']) t.ok(LARGE.equals(await readFile(join(home, name))), name)
  t.not((await curl('-T', large, `${url}/in/there`)).code, 0, 'nothing is overwritten')
  for (const path of ['in/', 'in/there', 'known/', 'shut/there'])
    t.not((await curl('-o', join(folder, 'none'), `${url}/${path}`)).code, 0, path)
  const client = await RawClient.open(gateway.ports.ftp)
  t.teardown(() => client.socket.destroy())
  await client.ask('USER dropping')
  await client.ask(`PASS ${PASSWORD}`)
  for (const [line, code] of [
    ['CWD in/there', 550],
    ['CWD in/none', 550],
    ['CWD shut', 550],
    ['MLST in', 550],
    ['CWD in', 250],
    ['SIZE there', 550],
    ['CDUP', 250],
  ] as const)
    t.equal(Number((await client.ask(line)).slice(0, 3)), code, line)
  t.match(await client.ask('CWD known'), /^250 /)
  const known = await client.data()
  const bytes = received(known)
  t.match(await client.ask('RETR there'), /^150 /)
  t.equal((await bytes).toString(), 'there')
  t.match(await client.reply(), /^226 /)
  t.match(await client.ask('CDUP'), /^250 /)
  const data = await client.data()
  const lines = received(data)
  await client.ask('MLSD')
  t.match((await lines).toString(), /perm=ecm;.* in\r\n/)
})

test('rclone carries 1,000 small files there and back, checks them, and syncs what changed', async (t) => {
  const { folder, home } = await scene(t, 'rclone')
  const out = join(folder, 'out')
  await mkdir(out)
  for (let i = 0; i < 1000; i++) await writeFile(join(out, `file ${i}.txt`), `content of ${i}\n`)
  const pass = (await run('rclone', ['obscure', PASSWORD])).stdout.trim()
  const remote = `:ftp,host=127.0.0.1,port=${gateway.ports.ftp},user=rclone,pass="${pass}",explicit_tls=true,no_check_certificate=true:`
  const rclone = (...args: string[]) =>
    run('rclone', ['--multi-thread-streams', '0', '--retries', '1', '--transfers', '4', ...args], { timeoutMs: 300_000 })
  ok(t, await rclone('copy', out, `${remote}in`), 'copy')
  t.equal((await readdir(join(home, 'in'))).length, 1000)
  t.equal(await readFile(join(home, 'in/file 500.txt'), 'utf8'), 'content of 500\n')
  ok(t, await rclone('check', out, `${remote}in`, '--size-only'), 'check')
  await rm(join(out, 'file 1.txt'))
  await writeFile(join(out, 'file 2.txt'), 'another length')
  ok(t, await rclone('sync', out, `${remote}in`), 'sync')
  t.equal((await readdir(join(home, 'in'))).length, 999)
  t.equal(await readFile(join(home, 'in/file 2.txt'), 'utf8'), 'another length')
  ok(t, await rclone('copy', `${remote}in`, join(folder, 'back')), 'back')
  t.equal((await readdir(join(folder, 'back'))).length, 999)
})

test('tnftp: mput and mget with globs, names with spaces, and text mode', async (t) => {
  const { folder, home } = await scene(t, 'tnftp')
  const [out, back] = [join(folder, 'out'), join(folder, 'back')]
  for (const path of [out, back]) await mkdir(path)
  for (const name of ['one.txt', 'two.txt', 'three.bin']) await writeFile(join(out, name), `${name}\nsecond line\n`)
  const script = [
    `open 127.0.0.1 ${gateway.ports.ftp}`,
    `user tnftp ${PASSWORD}`,
    `lcd ${out}`,
    'mput *.txt',
    'ascii',
    'put three.bin "three in text"',
    `lcd ${back}`,
    'binary',
    'mget *.txt',
    'ascii',
    'get "three in text"',
    'mdelete t*.txt',
    'quit',
  ]
  const ran = await run('tnftp', ['-n', '-i'], { input: `${script.join('\n')}\n` })
  t.same((await readdir(home)).sort(), ['one.txt', 'three in text'], ran.stdout + ran.stderr)
  t.equal(await readFile(join(home, 'three in text'), 'utf8'), 'three.bin\nsecond line\n', 'text has the line ends of this side')
  t.same((await readdir(back)).sort(), ['one.txt', 'three in text', 'two.txt'])
  t.equal(await readFile(join(back, 'two.txt'), 'utf8'), 'two.txt\nsecond line\n')
})
