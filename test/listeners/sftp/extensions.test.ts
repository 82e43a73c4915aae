// What clients may ask beyond the draft: digests, copies on the server, hard links, and who and where they are; packet by packet and with the clients that use it.
// Must not test the filesystem behind it.
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { connect, RawSftp, statusOf, str, u32, u64 } from './raw-client.ts'
import { setup } from './setup.ts'

const OPEN = { READ: 1, WRITE: 2, APPEND: 4, CREAT: 8, TRUNC: 16 }
const EXTENDED = 200
const digest = (algorithm: string, bytes: Uint8Array): Buffer => createHash(algorithm).update(bytes).digest()
const words = (body: Buffer, count: number): { words: string[]; rest: Buffer } => {
  const found: string[] = []
  let at = 0
  for (; found.length < count; at += 4 + body.readUInt32BE(at)) found.push(body.toString('utf8', at + 4, at + 4 + body.readUInt32BE(at)))
  return { words: found, rest: body.subarray(at) }
}

test('digests are answered by name and by handle, whole and in blocks, in the first algorithm that is known', async (t) => {
  const s = await setup(t)
  const content = randomBytes(300_000)
  writeFileSync(join(s.home, 'f'), content)
  const sftp = await RawSftp.open(await connect(s.port))
  const check = (how: string, file: Uint8Array | string, list: string, start = 0, length = 0, block = 0) =>
    sftp.ask(EXTENDED, str(how), typeof file === 'string' ? str(file) : file, str(list), u64(start), u64(length), u32(block))
  for (const algorithm of ['sha256', 'sha512', 'sha1', 'md5']) {
    const { words: named, rest } = words((await check('check-file-name', '/f', `nothing,${algorithm},md5`)).body, 1)
    t.strictSame([named, rest], [[algorithm], digest(algorithm, content)])
  }
  const handle = await sftp.file('/f', OPEN.READ)
  const part = words((await check('check-file-handle', handle, 'sha256', 1000, 2000)).body, 1)
  t.same(part.rest, digest('sha256', content.subarray(1000, 3000)))
  const blocks = words((await check('check-file', handle, 'md5', 0, 0, 100_000)).body, 2)
  t.strictSame(blocks.words, ['check-file', 'md5'])
  t.same(blocks.rest, Buffer.concat([0, 1, 2].map((i) => digest('md5', content.subarray(i * 100_000, (i + 1) * 100_000)))))
  t.equal(statusOf(await check('check-file-name', '/f', 'rot13')), 8)
  t.equal(statusOf(await check('check-file-name', '/none', 'md5')), 2)
  t.equal(statusOf(await check('check-file-handle', handle, 'md5', 0, 0, 255)), 5, 'blocks have at least 256 bytes')
  writeFileSync(join(s.home, 'long'), randomBytes(6 * 2 ** 20))
  t.equal(statusOf(await check('check-file-name', '/long', 'sha512', 0, 0, 256)), 5, 'an answer fits one packet')
  t.equal(statusOf(await check('check-file-handle', await sftp.file('/w', OPEN.WRITE | OPEN.CREAT), 'md5')), 3, 'what may not be read')
})

test('a digest by handle sees every write that was sent before it', async (t) => {
  const s = await setup(t)
  const sftp = await RawSftp.open(await connect(s.port))
  const content = randomBytes(640_000)
  const handle = await sftp.file('/f', OPEN.READ | OPEN.WRITE | OPEN.CREAT | OPEN.TRUNC)
  for (let at = 0; at < content.length; at += 32_000) sftp.send(6, handle, u64(at), str(content.subarray(at, at + 32_000)))
  sftp.send(EXTENDED, str('check-file-handle'), handle, str('sha256'), u64(0), u64(0), u32(0))
  for (let i = 0; i < 20; i++) t.equal(statusOf(await sftp.next()), 0)
  t.same(words((await sftp.next()).body, 1).rest, digest('sha256', content))
})

test('copy-data copies what was written before it, to the end or a part, and a hole-less file arrives', async (t) => {
  const s = await setup(t)
  const sftp = await RawSftp.open(await connect(s.port))
  const content = randomBytes(2_500_000)
  const a = await sftp.file('/a', OPEN.READ | OPEN.WRITE | OPEN.CREAT | OPEN.TRUNC)
  const b = await sftp.file('/b', OPEN.WRITE | OPEN.CREAT | OPEN.TRUNC)
  const copy = (from: Buffer, at: number, length: number, to: Buffer, into: number) =>
    sftp.send(EXTENDED, str('copy-data'), from, u64(at), u64(length), to, u64(into))
  for (let at = 0; at < content.length; at += 100_000) sftp.send(6, a, u64(at), str(content.subarray(at, at + 100_000)))
  copy(a, 0, 0, b, 0)
  copy(a, 10, 5, b, 0)
  sftp.send(4, b)
  for (let i = 0; i < 25 + 3; i++) t.equal(statusOf(await sftp.next()), 0)
  t.ok(readFileSync(join(s.home, 'b')).equals(Buffer.concat([content.subarray(10, 15), content.subarray(5)])))
  const answer = async (...args: Parameters<typeof copy>): Promise<number> => {
    copy(...args)
    return statusOf(await sftp.next())
  }
  t.equal(await answer(a, 0, 0, a, 0), 4, 'a file behind itself')
  t.equal(await answer(a, 0, 100, a, 50), 4, 'parts that overlap')
  t.equal(await answer(a, 0, 100, a, 5_000_000), 0)
  const reader = await sftp.file('/b', OPEN.READ)
  t.equal(await answer(reader, 0, 10, reader, 1000), 3, 'a file open for reading')
  t.equal(await answer(reader, 2_499_999, 10, a, 0), 1, 'more than there is')
  t.equal(await answer(reader, 0, 1, str('none'), 0), 4)
  // two that wait for each other's handles must both come to an end
  const c = await sftp.file('/c', OPEN.READ | OPEN.WRITE | OPEN.CREAT)
  for (let i = 0; i < 10; i++) {
    copy(a, 0, 1000, c, 0)
    copy(c, 0, 1000, a, 0)
  }
  for (let i = 0; i < 20; i++) t.equal(statusOf(await sftp.next()), 0)
})

test('hard links, file systems by handle, homes and names of owners are answered', async (t) => {
  const s = await setup(t)
  const sftp = await RawSftp.open(await connect(s.port))
  writeFileSync(join(s.home, 'f'), 'content')
  const ask = (name: string, ...fields: Uint8Array[]) => sftp.ask(EXTENDED, str(name), ...fields)
  t.equal(statusOf(await ask('hardlink@openssh.com', str('/f'), str('/g'))), 0)
  t.equal(statSync(join(s.home, 'g')).ino, statSync(join(s.home, 'f')).ino)
  t.equal(statusOf(await ask('hardlink@openssh.com', str('/f'), str('/g'))), 4, 'a taken name')
  t.equal(statusOf(await ask('hardlink@openssh.com', str('/none'), str('/h'))), 2)
  t.equal((await ask('fstatvfs@openssh.com', await sftp.file('/f', OPEN.READ))).body.length, 88)
  t.equal((await ask('home-directory', str(''))).body.toString('utf8', 8, 9), '/')
  t.equal(statusOf(await ask('home-directory', str('root'))), 2)
  t.equal((await ask('expand-path@openssh.com', str('~/x'))).body.toString('utf8', 8, 10), '/x')
  const limits = (await ask('limits@openssh.com')).body
  t.same([limits.readBigUInt64BE(0), limits.readBigUInt64BE(24)], [262144n, 1000n])
  const owners = await ask('users-groups-by-id@openssh.com', str(Buffer.concat([u32(1), u32(2)])), str(u32(9)))
  t.ok(owners.body.includes('partner'))
  const ids = (count: number): Buffer => str(Buffer.alloc(4 * count))
  t.equal((await ask('users-groups-by-id@openssh.com', ids(1000), ids(1000))).type, 201)
  for (const [what, ...fields] of [
    ['users-groups-by-id@openssh.com', str('odd'), ids(0)],
    ['users-groups-by-id@openssh.com', ids(1001), ids(0)],
    ['users-groups-by-id@openssh.com', ids(1)],
    ['home-directory'],
    ['expand-path@openssh.com', str('n'.repeat(5000))],
    ['copy-data', str('none')],
    ['posix-rename@openssh.com', str('/f')],
    ['check-file-name', str('/f'), str('md5')],
  ] as const)
    t.equal(statusOf(await ask(what, ...fields)), 5, `${what}, too short or too much`)
})

test('rclone compares by the hashes it asks for, with the shell it thinks is there', async (t) => {
  const s = await setup(t)
  for (const name of ['plain', "it's a \\ name", 'ä € ?*']) writeFileSync(join(s.local, name), randomBytes(70_000))
  const remote = `:sftp,host=127.0.0.1,port=${s.port},user=partner,key_file="${s.identity}":`
  const copied = await s.run('rclone', ['copy', '.', `${remote}/in`, '--checksum'])
  t.equal(copied.code, 0, copied.err)
  const checked = await s.run('rclone', ['check', '.', `${remote}/in`, '-v'])
  t.equal(checked.code, 0, checked.err)
  t.match(checked.err, /3 matching files/)
  t.notMatch(checked.err, /hashes could not be checked/)
  // one file at a time: of several at once, rclone 1.60 asks for hashes before it has found out how
  for (const algorithm of ['md5', 'sha1']) {
    const sums = await s.run('rclone', ['hashsum', algorithm, `${remote}/in/plain`])
    t.match(sums.out, digest(algorithm, readFileSync(join(s.local, 'plain'))).toString('hex'), sums.err)
  }
  // one byte of the same size and time: only the hash tells
  const { mtime } = statSync(join(s.home, 'in/plain'))
  const changed = readFileSync(join(s.home, 'in/plain'))
  changed[100]! ^= 1
  writeFileSync(join(s.home, 'in/plain'), changed)
  utimesSync(join(s.home, 'in/plain'), mtime, mtime)
  t.equal((await s.run('rclone', ['check', '.', `${remote}/in`])).code, 1)
})

test('md5sum and its kin are answered without a shell, rsync and shells are told what there is', async (t) => {
  const s = await setup(t)
  writeFileSync(join(s.home, 'a b'), 'content')
  const ssh = (...command: string[]) =>
    s.run('ssh', [...s.common, '-o', `IdentityFile=${s.identity}`, '-p', String(s.port), 'partner@127.0.0.1', ...command], 'from stdin')
  const hex = (algorithm: string, text: string): string => digest(algorithm, Buffer.from(text)).toString('hex')
  t.equal((await ssh("sha256sum 'a b'")).out, `${hex('sha256', 'content')}  a b\n`)
  t.equal((await ssh('/usr/bin/sha1sum -b -- a\\ b')).out, `${hex('sha1', 'content')}  a b\n`)
  t.equal((await ssh('md5sum')).out, `${hex('md5', 'from stdin')}  -\n`)
  const missing = await ssh('sha512sum none "a b"')
  t.strictSame([missing.code, missing.out], [1, `${hex('sha512', 'content')}  a b\n`])
  t.match(missing.err, /sha512sum: none: No such file/)
  for (const command of ['md5sum --check list', 'md5sum `id`; id', 'echo $(id)', 'sha256sum a | sh']) {
    const ran = await ssh(command)
    t.equal(ran.code, 1, command)
    t.notMatch(ran.out, /uid=/)
  }
  const shell = await ssh()
  t.equal(shell.code, 1)
  t.match(shell.err, /serves sftp and scp only/)
  const rsync = await s.run('rsync', [
    '-e',
    `ssh ${s.common.join(' ')} -i ${s.identity} -p ${s.port}`,
    '/etc/hostname',
    'partner@127.0.0.1:',
  ])
  t.not(rsync.code, 0)
  t.match(rsync.err, /serves sftp and scp only/)
})
