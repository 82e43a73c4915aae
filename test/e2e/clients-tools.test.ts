import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { lftp } from '../support/clients.ts'
import { run, until } from '../support/gateway.ts'
import { deliveredTree, holdsTree, ok, PASSWORD, put, scene, TREE } from '../support/partner-tree.ts'

test('curl uploads, resumes, lists, renames and downloads over FTPS and SFTP', async (t) => {
  const s = await scene(t, 'curl')
  const home = join(s.gateway.files, 'curl')
  const login = ['-sS', '--insecure', '--user', `curl:${PASSWORD}`]
  const whole = TREE['sub/large.bin']!
  for (const scheme of ['ftp', 'sftp'] as const) {
    const tls = scheme === 'ftp' ? ['--ssl-reqd'] : []
    // curl's sftp paths begin at the real root; `~` is the home
    const url = (path: string): string => `${scheme}://127.0.0.1:${s.gateway.ports[scheme]}/${path}`
    const curl = (...args: string[]) => run('curl', [...login, ...tls, ...args])
    ok(t, await curl('--ftp-create-dirs', '-T', join(s.out, 'sub/large.bin'), url(`${scheme}/in/large.bin`)), `${scheme} -T`)
    t.ok(whole.equals(await readFile(join(home, scheme, 'in/large.bin'))), `${scheme}: on the disk`)
    await put(join(s.folder, `${scheme}.down`), whole.subarray(0, 1_000_001))
    ok(t, await curl('-C', '-', '-o', join(s.folder, `${scheme}.down`), url(`${scheme}/in/large.bin`)), `${scheme} -C - download`)
    t.ok(whole.equals(await readFile(join(s.folder, `${scheme}.down`))), `${scheme}: the resumed download is whole`)
    await put(join(home, scheme, 'in/half.bin'), whole.subarray(0, 777_777))
    await put(join(s.folder, 'half.bin'), whole)
    ok(t, await curl('-C', '-', '-T', join(s.folder, 'half.bin'), url(`${scheme}/in/half.bin`)), `${scheme} -C - upload`)
    t.ok(whole.equals(await readFile(join(home, scheme, 'in/half.bin'))), `${scheme}: the resumed upload is whole`)
    const listed = await curl('--list-only', url(`${scheme}/in/`))
    t.same(
      listed.stdout
        .split(/\r?\n/)
        .filter((name) => !/^\.{0,2}$/.test(name))
        .sort(),
      ['half.bin', 'large.bin'],
      `${scheme}: list`,
    )
    const rename =
      scheme === 'ftp'
        ? ['--quote', 'RNFR ftp/in/half.bin', '--quote', 'RNTO ftp/in/renamed.bin']
        : ['--quote', 'rename /sftp/in/half.bin /sftp/in/renamed.bin']
    ok(t, await curl(...rename, '-o', '/dev/null', url(`${scheme}/in/`)), `${scheme} --quote rename`)
    t.same((await readdir(join(home, scheme, 'in'))).sort(), ['large.bin', 'renamed.bin'], `${scheme}: renamed on the disk`)
    t.not((await curl('-o', '/dev/null', url('nothing/here'))).code, 0, `${scheme}: a missing file is an error`)
  }
  const stdin = await run('curl', [...login, '--ssl-reqd', '-T', '-', `ftp://127.0.0.1:${s.gateway.ports.ftp}/from-stdin.txt`], {
    input: 'piped\n',
  })
  ok(t, stdin, 'from stdin')
  t.equal(await readFile(join(home, 'from-stdin.txt'), 'utf8'), 'piped\n')
})

test('rclone copies, checks and syncs a tree over FTPS and SFTP, and each file is delivered once', async (t) => {
  const s = await scene(t, 'rclone')
  const obscured = (await run('rclone', ['obscure', PASSWORD])).stdout.trim()
  const config = join(s.folder, 'rclone.conf')
  const common = (scheme: 'ftp' | 'sftp') =>
    `[${scheme}]\ntype = ${scheme}\nhost = 127.0.0.1\nport = ${s.gateway.ports[scheme]}\nuser = rclone\npass = ${obscured}\n`
  await writeFile(config, `${common('ftp')}explicit_tls = true\nno_check_certificate = true\n${common('sftp')}`)
  for (const scheme of ['ftp', 'sftp'] as const) {
    const rclone = (...args: string[]) => run('rclone', ['--config', config, '--multi-thread-streams', '0', '--retries', '1', ...args])
    ok(t, await rclone('copy', s.out, `${scheme}:${scheme}`), `${scheme} copy`)
    await holdsTree(t, join(s.gateway.files, 'rclone', scheme), `${scheme} copy`)
    ok(t, await rclone('check', ...(scheme === 'ftp' ? ['--download'] : []), s.out, `${scheme}:${scheme}`), `${scheme} check`)
    await deliveredTree(t, s, 'rclone', `${scheme}/`)
    const back = join(s.folder, `back-${scheme}`)
    await put(join(back, 'stale.txt'), 'goes')
    ok(t, await rclone('sync', `${scheme}:${scheme}`, back), `${scheme} sync back`)
    await holdsTree(t, back, `${scheme} sync back`)
    t.notOk((await readdir(back)).includes('stale.txt'))
    await rm(join(back, 'a.txt'))
    ok(t, await rclone('sync', back, `${scheme}:${scheme}`), `${scheme} sync away`)
    t.notOk((await readdir(join(s.gateway.files, 'rclone', scheme))).includes('a.txt'), `${scheme}: what is gone here is gone there`)
  }
})

test('lftp mirrors a tree both ways over FTPS and SFTP, and each file is delivered once', async (t) => {
  const s = await scene(t, 'lftp')
  for (const protocol of ['ftp', 'sftp'] as const) {
    ok(t, await lftp(s.gateway, 'lftp', PASSWORD, [`mirror -R --parallel=3 ${s.out} /${protocol}`], { protocol }), `${protocol} mirror -R`)
    await holdsTree(t, join(s.gateway.files, 'lftp', protocol), `${protocol} mirror -R`)
    await deliveredTree(t, s, 'lftp', `${protocol}/`)
    const back = join(s.folder, `back-${protocol}`)
    ok(t, await lftp(s.gateway, 'lftp', PASSWORD, [`mirror /${protocol} ${back}`], { protocol }), `${protocol} mirror`)
    await holdsTree(t, back, `${protocol} mirror`)
    const again = await lftp(s.gateway, 'lftp', PASSWORD, [`mirror -R -v ${s.out} /${protocol}`], { protocol })
    ok(t, again, `${protocol} mirror again`)
    t.notMatch(again.stdout, /Transferring file/, `${protocol}: a second mirror moves nothing: times and sizes are kept`)
  }
})

test('ncftp and tnftp work in clear for a user that may', async (t) => {
  const s = await scene(t, 'plain', { require_tls: false })
  const port = String(s.gateway.ports.ftp)
  const home = join(s.gateway.files, 'plain')
  const login = ['-u', 'plain', '-p', PASSWORD, '-P', port]
  ok(t, await run('ncftpput', [...login, '-R', '-m', '127.0.0.1', '/nc', s.out]), 'ncftpput -R')
  await holdsTree(t, join(home, 'nc/out'), 'ncftpput -R')
  await deliveredTree(t, s, 'plain', 'nc/out/')
  const back = join(s.folder, 'nc-back')
  await mkdir(back)
  ok(t, await run('ncftpget', [...login, '-R', '127.0.0.1', back, '/nc/out']), 'ncftpget -R')
  await holdsTree(t, join(back, 'out'), 'ncftpget -R')
  const whole = TREE['sub/large.bin']!
  await put(join(s.folder, 'tn/part.bin'), whole.subarray(0, 1_000_000))
  const script = [
    `open 127.0.0.1 ${port}`,
    `user plain ${PASSWORD}`,
    'binary',
    'mkdir tn',
    'cd tn',
    `lcd ${join(s.out, 'sub')}`,
    'put large.bin large.bin.part',
    'rename large.bin.part large.bin',
    `lcd ${join(s.folder, 'tn')}`,
    'get large.bin',
    'reget large.bin part.bin',
    'ls',
    'quit',
  ]
  const tn = await run('tnftp', ['-n', '-v', '-i'], { input: `${script.join('\n')}\n` })
  t.ok(
    whole.equals(await readFile(join(home, 'tn/large.bin')).catch(() => Buffer.alloc(0))),
    `tnftp put and rename ${tn.stdout.slice(-600)}`,
  )
  t.ok(whole.equals(await readFile(join(s.folder, 'tn/large.bin')).catch(() => Buffer.alloc(0))), 'tnftp get')
  t.ok(whole.equals(await readFile(join(s.folder, 'tn/part.bin')).catch(() => Buffer.alloc(0))), 'tnftp reget')
  await until('the delivery of the final name', async () =>
    (await s.gateway.deliveries('&state=delivered')).some((d) => d.path === '/tn/large.bin'),
  )
  t.same(
    (await s.gateway.deliveries('&rule=plain')).map((d) => d.path).filter((path) => path.startsWith('/tn/')),
    ['/tn/large.bin'],
    'one delivery, under the final name',
  )
  t.ok(whole.equals(await readFile(join(s.target, 'plain/tn/large.bin'))), 'and the very bytes')
})
