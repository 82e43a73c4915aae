// The programs that partners use, against the listener: put, list, get, rename, remove, in clear and over TLS.
// Must not run where a program is missing: it is skipped by name.
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { run, startFtp } from './support.ts'

const missing = (program: string): string | false => (spawnSync('which', [program]).status === 0 ? false : `${program} is not installed`)
const content = randomBytes(3_000_000)

async function prepared(t: Parameters<typeof startFtp>[0], options: Parameters<typeof startFtp>[1] = {}) {
  const started = await startFtp(t, options)
  const folder = mkdtempSync(join(tmpdir(), 'ff-client-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'up'), content)
  return { ...started, up: join(folder, 'up'), down: join(folder, 'down') }
}

for (const secure of [false, true]) {
  const how = secure ? 'over TLS' : 'in clear'
  const options = { tls: true, requireTls: secure }

  test(`curl puts and gets a file ${how}`, { skip: missing('curl') }, async (t) => {
    const { port, root, up, down } = await prepared(t, options)
    const flags = ['-sS', '-u', 'partner:secret', ...(secure ? ['-k', '--ssl-reqd'] : [])]
    t.same(await run('curl', [...flags, '-T', up, `ftp://127.0.0.1:${port}/f`]), { code: 0, output: '' })
    t.ok(readFileSync(`${root}/f`).equals(content))
    t.same(await run('curl', [...flags, '-o', down, `ftp://127.0.0.1:${port}/f`]), { code: 0, output: '' })
    t.ok(readFileSync(down).equals(content))
  })

  test(`lftp puts, lists, renames, gets and removes ${how}`, { skip: missing('lftp') }, async (t) => {
    const { port, root, up, down } = await prepared(t, options)
    const script = `set ssl:verify-certificate no; set ftp:ssl-allow ${secure}; set xfer:clobber yes; set net:max-retries 1; open -u partner,secret ftp://127.0.0.1:${port};
      mkdir d; cd d; put ${up} -o 'a "b'; ls; mv 'a "b' c; get c -o ${down}; rm c; cd ..; rmdir d; put ${up} -o f; bye`
    const done = await run('lftp', ['-c', script])
    t.equal(done.code, 0, done.output)
    t.match(done.output, / 3000000 .* a "b/)
    t.ok(readFileSync(down).equals(content))
    t.ok(readFileSync(`${root}/f`).equals(content))
    t.notOk(existsSync(`${root}/d`))
  })

  test(`Python's ftplib puts, lists and gets ${how}`, { skip: missing('python3') }, async (t) => {
    const { port, root, up, down } = await prepared(t, options)
    const script = `
import ftplib, ssl
up, down, port = ${JSON.stringify(up)}, ${JSON.stringify(down)}, ${port}
context = ssl.create_default_context(); context.check_hostname = False; context.verify_mode = ssl.CERT_NONE
f = ${secure ? 'ftplib.FTP_TLS(context=context)' : 'ftplib.FTP()'}
f.connect('127.0.0.1', port, timeout=60); f.login('partner', 'secret')
${secure ? 'f.prot_p()' : ''}
f.storbinary('STOR f', open(up, 'rb'))
assert f.nlst() == ['f'], f.nlst()
assert f.size('f') == 3000000
assert [name for name, facts in f.mlsd()] == ['f']
f.retrbinary('RETR f', open(down, 'wb').write)
f.quit()`
    const done = await run('python3', ['-c', script])
    t.equal(done.code, 0, done.output)
    t.ok(readFileSync(`${root}/f`).equals(content))
    t.ok(readFileSync(down).equals(content))
  })

  test(`rclone copies there and back ${how}`, { skip: missing('rclone') }, async (t) => {
    const { port, root, up, down } = await prepared(t, options)
    const pass = (await run('rclone', ['obscure', 'secret'])).output.trim()
    const remote = `:ftp,host=127.0.0.1,port=${port},user=partner,pass="${pass}"${secure ? ',explicit_tls=true,no_check_certificate=true' : ''}:f`
    const there = await run('rclone', ['copyto', up, remote, '--multi-thread-streams', '0', '--retries', '1'])
    t.equal(there.code, 0, there.output)
    t.ok(readFileSync(`${root}/f`).equals(content))
    const back = await run('rclone', ['copyto', remote, down, '--multi-thread-streams', '0', '--retries', '1'])
    t.equal(back.code, 0, back.output)
    t.ok(readFileSync(down).equals(content))
  })
}

test('ncftp puts and lists', { skip: missing('ncftpput') }, async (t) => {
  const { port, root, up } = await prepared(t)
  const put = await run('ncftpput', ['-u', 'partner', '-p', 'secret', '-P', String(port), '127.0.0.1', '/', up])
  t.equal(put.code, 0, put.output)
  t.ok(readFileSync(`${root}/up`).equals(content))
  const list = await run('ncftpls', ['-u', 'partner', '-p', 'secret', '-P', String(port), 'ftp://127.0.0.1/'])
  t.match(list.output, /^up$/m)
})

test('tnftp puts, lists and gets', { skip: missing('tnftp') }, async (t) => {
  const { port, root, up, down } = await prepared(t)
  const script = `open 127.0.0.1 ${port}\nuser partner secret\nput ${up} f\nget f ${down}\nls\nquit\n`
  const done = await run('tnftp', ['-n'], script)
  t.match(done.output, / 3000000 .* f$/m)
  t.ok(readFileSync(`${root}/f`).equals(content))
  t.ok(readFileSync(down).equals(content))
})

test('curl uses active mode where it is on', { skip: missing('curl') }, async (t) => {
  const { port, root, up } = await prepared(t, { ftp: { active: true } })
  const done = await run('curl', ['-sS', '-u', 'partner:secret', '--ftp-port', '-', '-T', up, `ftp://127.0.0.1:${port}/f`])
  t.same(done, { code: 0, output: '' })
  t.ok(readFileSync(`${root}/f`).equals(content))
})
