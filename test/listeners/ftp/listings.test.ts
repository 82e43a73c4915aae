// What partners see of a folder, in each of the forms that clients ask for.
// Must not check order: folders have none.
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { listLine } from '../../../src/listeners/ftp/listing-format.ts'
import { RawClient, received, startFtp } from './support.ts'

async function listed(client: RawClient, command: string): Promise<string[]> {
  const data = await client.data()
  const opened = await client.ask(command)
  if (!opened.startsWith('150')) throw new Error(opened)
  const text = (await received(data)).toString()
  const end = await client.reply()
  if (!end.startsWith('226')) throw new Error(end)
  return text.split('\r\n').slice(0, -1).sort()
}

async function withFiles(t: Parameters<typeof startFtp>[0]) {
  const started = await startFtp(t)
  writeFileSync(`${started.root}/a.txt`, 'hello', { mode: 0o644 })
  writeFileSync(`${started.root}/ü b.dat`, '')
  writeFileSync(`${started.root}/bad\nname`, '')
  mkdirSync(`${started.root}/sub`)
  writeFileSync(`${started.root}/sub/inner.txt`, 'x')
  symlinkSync('a.txt', `${started.root}/link`)
  utimesSync(`${started.root}/a.txt`, 1577934245, 1577934245)
  return { ...started, client: await RawClient.login(started.port) }
}

test('LIST shows files, folders and links as ls -l does, with or without -la', async (t) => {
  const { client, lines } = await withFiles(t)
  for (const command of ['LIST', 'LIST -la', 'LIST -a -l /', 'LIST .']) {
    const found = await listed(client, command)
    t.equal(found.length, 4, command)
    t.match(found.join('\n'), /^-rw-r--r--\s+1 ftp\s+ftp\s+5 Jan {2}2 {2}2020 a\.txt$/m)
    t.match(found.join('\n'), /^drwx.* sub$/m)
    t.match(found.join('\n'), /^l.* link -> a\.txt$/m)
    t.match(found.join('\n'), / ü b\.dat$/m)
  }
  t.ok(lines.some((line) => line.event === 'ftp.names_skipped' && line.fields.names === 1))
})

test('the time of a recent file is shown with its hour, that of an old one with its year', (t) => {
  const now = Date.UTC(2026, 5, 1)
  const entry = { name: 'x', kind: 'file', size: 1, mode: 0o644, links: 1 } as Parameters<typeof listLine>[0]
  t.match(listLine({ ...entry, mtimeMs: Date.UTC(2026, 4, 1, 13, 5) }, now), / May {2}1 13:05 x$/)
  t.match(listLine({ ...entry, mtimeMs: Date.UTC(2025, 4, 1) }, now), / May {2}1 {2}2025 x$/)
  t.match(listLine({ ...entry, mtimeMs: Date.UTC(2027, 4, 1) }, now), / May {2}1 {2}2027 x$/)
  t.end()
})

test('NLST gives names that can be fetched, and knows globs', async (t) => {
  const { client } = await withFiles(t)
  t.same(await listed(client, 'NLST'), ['a.txt', 'link', 'sub', 'ü b.dat'])
  t.same(await listed(client, 'NLST *.txt'), ['a.txt'])
  t.same(await listed(client, 'NLST sub'), ['sub/inner.txt'])
  t.same(await listed(client, 'NLST sub/*.txt'), ['sub/inner.txt'])
  t.same(await listed(client, 'NLST *.none'), [])
  await client.data()
  t.match(await client.ask('NLST none'), /^550 /)
})

test('MLSD and MLST give facts, and only those that were asked for', async (t) => {
  const { client } = await withFiles(t)
  const found = await listed(client, 'MLSD')
  t.match(
    found.find((line) => line.endsWith(' a.txt')),
    /^type=file;size=5;modify=20200102030405;perm=adfrw;unique=[^;]+;UNIX\.mode=0644; a\.txt$/,
  )
  t.match(
    found.find((line) => line.endsWith(' sub')),
    /^type=dir;modify=\d{14};perm=[a-z]+;/,
  )
  t.match(
    found.find((line) => line.endsWith(' link')),
    /^type=file;size=5;/,
    'a link is what it leads to',
  )
  t.match(await client.ask('MLST a.txt'), /^250-Listing a\.txt\r\n type=file;size=5;.*; \/a\.txt\r\n250 End$/)
  t.equal(await client.ask('OPTS MLST size;type;nonsense;'), '200 MLST OPTS type;size;')
  t.match(await client.ask('MLST a.txt'), / type=file;size=5; \/a\.txt/)
  await client.data()
  t.match(await client.ask('MLSD a.txt'), /^501 /)
})

test('STAT lists over the control connection', async (t) => {
  const { client } = await withFiles(t)
  t.match(await client.ask('STAT sub'), /^213-[\s\S]* inner\.txt\r\n213 End$/)
})

test('a folder of many files is listed whole', async (t) => {
  const { client, root } = await withFiles(t)
  mkdirSync(`${root}/many`)
  for (let i = 0; i < 3000; i++) writeFileSync(`${root}/many/file-with-a-rather-long-name-${i}`, '')
  t.equal((await listed(client, 'LIST many')).length, 3000)
  t.equal((await listed(client, 'MLSD many')).length, 3000)
})

test('a name with control characters or line separators that FTP does not know stays one line, as it is, and can be fetched and removed by it', async (t) => {
  const { client, root } = await withFiles(t)
  const names = [
    'esc\u001b[2Jhidden',
    'c1\u009b31mred\u0085next',
    'ls\u2028ps\u2029end',
    'vt\u000bff\u000cend',
    'tab\there',
    ' leading',
    '-rf',
    'del\u007f',
  ]
  mkdirSync(`${root}/odd`)
  for (const name of names) writeFileSync(`${root}/odd/${name}`, name)
  const sorted = [...names].sort()
  t.same((await listed(client, 'NLST odd')).map((typed) => typed.slice('odd/'.length)).sort(), sorted)
  t.same(
    (await listed(client, 'LIST odd')).map((line) => /^\S+ +\d+ ftp +ftp +\d+ \w{3} [ \d]\d \d\d:\d\d (.*)$/s.exec(line)?.[1]).sort(),
    sorted,
  )
  t.same((await listed(client, 'MLSD odd')).map((line) => line.slice(line.indexOf('; ') + 2)).sort(), sorted)
  t.equal((await client.ask('STAT odd')).split('\r\n').length, names.length + 2, 'nor does it break a reply')
  await client.ask('CWD odd')
  for (const name of names) {
    t.ok((await client.ask(`MLST ${name}`)).endsWith(`; /odd/${name}\r\n250 End`))
    const data = await client.data()
    t.match(await client.ask(`RETR ${name}`), /^150 /)
    t.equal((await received(data)).toString(), name)
    t.match(await client.reply(), /^226 /)
    t.match(await client.ask(`DELE ${name}`), /^250 /)
  }
  t.same(await listed(client, 'NLST'), [])
})
