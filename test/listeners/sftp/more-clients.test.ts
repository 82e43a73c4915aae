// More clients of partners: large packets and many requests at once, temporary names, mounted folders, libraries.
// Must not repeat clients.test.ts; every test looks at the files on both sides.
import { createHash, randomBytes } from 'node:crypto'
import { accessSync, constants, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Client from 'ssh2-sftp-client'
import { test } from 'tap'
import { PERMISSIONS } from '../../../src/core/permission.ts'
import { SSH_OPTIONS } from '../../support/clients.ts'
import { run, startGateway, until } from '../../support/gateway.ts'
import { PASSWORD, setup } from './setup.ts'

const hash = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex')

test('OpenSSH sftp with the largest packets, resumed both ways, and cp on the server', async (t) => {
  const s = await setup(t)
  writeFileSync(join(s.local, 'big'), randomBytes(12 * 2 ** 20 + 5))
  const ran = await s.sftp('put big\nget big back\ncp big copy\n', ['-B', '261120', '-R', '64'])
  t.equal(ran.code, 0, ran.err)
  for (const file of [join(s.home, 'big'), join(s.home, 'copy'), join(s.local, 'back')]) t.equal(hash(file), hash(join(s.local, 'big')))
  const content = readFileSync(join(s.local, 'big'))
  writeFileSync(join(s.local, 'half'), content.subarray(0, 5_000_001))
  writeFileSync(join(s.home, 'up'), content.subarray(0, 7_000_000))
  writeFileSync(join(s.local, 'up'), content)
  const resumed = await s.sftp('reget big half\nreput up\nput -p up timed\nchmod 640 timed\nrename timed moved\n')
  t.equal(resumed.code, 0, resumed.err)
  for (const file of [join(s.local, 'half'), join(s.home, 'up'), join(s.home, 'moved')]) t.equal(hash(file), hash(join(s.local, 'big')))
  t.equal(Math.floor(statSync(join(s.home, 'moved')).mtimeMs / 1000), Math.floor(statSync(join(s.local, 'up')).mtimeMs / 1000))
})

test('ten thousand names are listed whole, long and short', async (t) => {
  const s = await setup(t)
  mkdirSync(join(s.home, 'd'))
  for (let i = 0; i < 10_000; i++) writeFileSync(join(s.home, 'd', `name-${i}`), '')
  const ran = await s.sftp('ls -1 d\nls -ln d\n')
  t.equal(ran.out.split('\n').filter((line) => line.startsWith('d/name-')).length, 10_000)
  t.equal(ran.out.split('\n').filter((line) => /^-rw-r--r-- .* d\/name-\d+ *$/.test(line)).length, 10_000)
})

test('curl and ssh2-sftp-client send, fetch, rename a temporary name into place, and list', async (t) => {
  const s = await setup(t)
  writeFileSync(join(s.local, 'f'), randomBytes(3 * 2 ** 20 + 1))
  const url = `sftp://127.0.0.1:${s.port}`
  const curl = (...args: string[]) => s.run('curl', ['-sS', '--insecure', '--user', `partner:${PASSWORD}`, ...args])
  const sent = await curl('-T', 'f', `${url}/curl.filepart`, '-Q', '-rename /curl.filepart /curl')
  t.equal(sent.code, 0, sent.err)
  t.equal(hash(join(s.home, 'curl')), hash(join(s.local, 'f')))
  const got = await curl(`${url}/curl`, '-r', '100-', '-o', 'curl.back')
  t.equal(got.code, 0, got.err)
  t.ok(readFileSync(join(s.local, 'curl.back')).equals(readFileSync(join(s.local, 'f')).subarray(100)))

  const client = new Client()
  await client.connect({ host: '127.0.0.1', port: s.port, username: 'partner', password: PASSWORD })
  await client.mkdir('/in/deep', true)
  await client.fastPut(join(s.local, 'f'), '/in/deep/f.filepart', { concurrency: 64, chunkSize: 32_768 })
  await client.rename('/in/deep/f.filepart', '/in/deep/f')
  await client.append(Buffer.from('more'), '/in/deep/f')
  t.strictSame(
    (await client.list('/in/deep')).map(({ name, size }) => [name, size]),
    [['f', 3 * 2 ** 20 + 5]],
  )
  await client.fastGet('/in/deep/f', join(s.local, 'f.back'))
  t.equal(hash(join(s.local, 'f.back')), hash(join(s.home, 'in/deep/f')))
  await client.rmdir('/in', true)
  await client.end()
  t.notOk(readdirSync(s.home).includes('in'))
})

const fuse = ((): boolean => {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
})()

test('sshfs mounts the folder: files are copied, edited in place, appended, renamed and removed, also while they are open', {
  skip: fuse ? false : 'no /dev/fuse here',
}, async (t) => {
  const gateway = await startGateway(t)
  await gateway.apply({ users: [{ username: 'partner', password: PASSWORD, permissions: [{ path: '/', allow: [...PERMISSIONS] }] }] })
  const home = join(gateway.files, 'partner')
  const mount = join(gateway.folder, 'mounted')
  mkdirSync(mount)
  const options = [...SSH_OPTIONS.slice(1), '-o', 'password_stdin', '-p', String(gateway.ports.sftp)]
  const mounted = await run('sshfs', ['partner@127.0.0.1:/', mount, ...options], { input: `${PASSWORD}\n` })
  if (/fusermount|fuse: |Operation not permitted/.test(mounted.stderr))
    return void t.pass(`FUSE may not be used here: ${mounted.stderr.trim()}`)
  t.equal(mounted.code, 0, mounted.stderr)
  try {
    const script = [
      'set -e',
      `cd '${mount}'`,
      'head -c 3000000 /dev/urandom > big; cp big copy; cmp big copy',
      "printf 'first line\\nsecond line\\n' > text; sed -i 's/second/2nd/' text; printf 'third\\n' >> text",
      "printf 'X' | dd of=text bs=1 seek=0 conv=notrunc status=none",
      "printf '2nd handle\\n' 3> both >> both; exec 3> more; printf 'one ' >&3; printf 'two ' >> more; cat more > seen; printf 'three' >> more; exec 3>&-",
      'mkdir -p a/b; mv text a/b/moved; truncate -s 1000 copy; ln -s big link; chmod 600 copy',
      // names of open files: new ones, one that is being edited, one renamed onto another, and two that are removed
      "exec 3> new.tmp; printf 'begun ' >&3; mv new.tmp new; test ! -e new.tmp; printf 'and done' >&3; exec 3>&-",
      "printf 'old text\\n' > edited; exec 3<> edited; printf 'NEW' >&3; mv edited a/edited; printf '!' >&3; exec 3>&-",
      "printf 'before' > taken; exec 3> taking; printf 'af' >&3; mv -f taking taken; printf 'ter' >&3; exec 3>&-",
      "exec 3> gone; printf 'x' >&3; rm gone; printf 'y' >&3; exec 3>&-",
      "printf 'old' > gone2; exec 3<> gone2; printf 'new' >&3; rm gone2; printf 'er' >&3; exec 3>&-; ls -a > listed",
    ]
    const ran = await run('sh', ['-c', script.join('\n')])
    t.equal(ran.code, 0, ran.stderr)
    // the last CLOSE, and the removal behind it, may still be on their way when the shell goes on
    await until(
      'nothing else is left',
      async () => readdirSync(home).sort().join(' ') === 'a big both copy link listed more new seen taken',
    )
  } finally {
    await run('fusermount3', ['-u', mount])
  }
  t.equal(readFileSync(join(home, 'a/b/moved'), 'utf8'), 'Xirst line\n2nd line\nthird\n')
  t.equal(statSync(join(home, 'copy')).size, 1000)
  for (const [name, content] of [
    ['both', '2nd handle\n'],
    ['more', 'one two three'],
    ['seen', 'one two '],
    ['new', 'begun and done'],
    ['a/edited', 'NEW!text\n'],
    ['taken', 'after'],
  ] as const)
    t.equal(readFileSync(join(home, name), 'utf8'), content, name)
  t.same(readdirSync(join(home, 'a')), ['b', 'edited'])
  t.ok(
    readFileSync(join(home, 'big'))
      .subarray(0, 1000)
      .equals(readFileSync(join(home, 'copy'))),
  )
})
