// HASH, RANG and the older digest commands: what they say is what is on the disk.
// Must not compute with the gateway's own code.
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import { test } from 'tap'
import { RawClient, received, startFtp } from './support.ts'

const content = randomBytes(3_000_001)
const sum = (algorithm: string, bytes: Buffer) => createHash(algorithm).update(bytes).digest('hex')

test('HASH gives the digest of the algorithm that OPTS HASH chose, and FEAT marks it', async (t) => {
  const { port, root } = await startFtp(t)
  writeFileSync(`${root}/a file`, content)
  const client = await RawClient.login(port)
  t.match(await client.ask('FEAT'), /^ HASH SHA-256\*;SHA-512;SHA-1;MD5;CRC32\r$/m)
  t.equal(await client.ask('HASH a file'), `213 SHA-256 0-${content.length} ${sum('sha256', content)} a file`)
  t.equal(await client.ask('OPTS HASH'), '200 SHA-256')
  for (const [name, algorithm] of [
    ['SHA-512', 'sha512'],
    ['sha-1', 'sha1'],
    ['MD5', 'md5'],
  ] as const) {
    t.equal(await client.ask(`OPTS HASH ${name}`), `200 ${name.toUpperCase()}`)
    t.equal(await client.ask('HASH a file'), `213 ${name.toUpperCase()} 0-${content.length} ${sum(algorithm, content)} a file`)
  }
  t.match(await client.ask('FEAT'), /MD5\*/)
  t.match(await client.ask('OPTS HASH SHA-3'), /^501 /)
  t.match(await client.ask('OPTS HASH __proto__'), /^501 /)
  mkdirSync(`${root}/d`)
  for (const name of ['none', 'd']) t.match(await client.ask(`HASH ${name}`), /^550 /, name)
  await client.ask('REIN')
  t.match(await client.ask('HASH a file'), /^530 /)
})

test('RANG bounds the next HASH or RETR, once, and refuses what makes no sense', async (t) => {
  const { port, root } = await startFtp(t)
  writeFileSync(`${root}/f`, content)
  const client = await RawClient.login(port)
  t.match(await client.ask('RANG 10 19'), /^350 /)
  t.equal(await client.ask('HASH f'), `213 SHA-256 10-19 ${sum('sha256', content.subarray(10, 20))} f`)
  t.match(await client.ask('HASH f'), / 0-3000001 /)
  for (const [range, expected] of [
    ['5 2000004', content.subarray(5, 2_000_005)],
    ['2999999 99999999', content.subarray(2_999_999)],
    ['1 0', content],
  ] as const) {
    const data = await client.data()
    t.match(await client.ask(`RANG ${range}`), /^350 /)
    t.match(await client.ask('RETR f'), /^150 /)
    t.ok((await received(data)).equals(expected), range)
    t.match(await client.reply(), /^226 /)
  }
  for (const bad of ['RANG', 'RANG 1', 'RANG 5 4', 'RANG -1 5', 'RANG a b', 'RANG 1 2 3']) t.match(await client.ask(bad), /^501 /, bad)
  await client.ask('RANG 3000001 3000002')
  await client.data()
  t.match(await client.ask('RETR f'), /^(150|554) /)
  const second = await RawClient.login(port)
  await second.ask('RANG 0 5')
  await second.data()
  t.match(await second.ask('STOR f'), /^504 /, 'a range is nothing for an upload')
  await second.ask('TYPE A')
  for (const before of ['RANG 0 5', 'REST 5']) {
    await second.ask(before)
    await second.data()
    t.match(await second.ask('RETR f'), /^504 /, `${before} counts bytes, TYPE A does not`)
    await second.ask(before)
    const data = await second.data()
    t.match(await second.ask('NLST'), /^150 /, `${before} is nothing for a listing`)
    t.equal((await received(data)).toString(), 'f\r\n')
    t.match(await second.reply(), /^226 /)
  }
})

test('XCRC, XMD5, XSHA1, XSHA256, XSHA512 take a plain name, a quoted one, and a range', async (t) => {
  const { port, root } = await startFtp(t)
  const client = await RawClient.login(port)
  for (const name of ['f', 'my file', 'say "x"', 'data 10 20']) writeFileSync(`${root}/${name}`, content)
  const upper = (algorithm: string, bytes = content) => `250 ${sum(algorithm, bytes).toUpperCase()}`
  t.equal(await client.ask('XMD5 f'), upper('md5'))
  t.equal(await client.ask('XSHA1 my file'), upper('sha1'))
  t.equal(await client.ask('XSHA256 "my file"'), upper('sha256'))
  t.equal(await client.ask('XSHA512 "say ""x"""'), upper('sha512'))
  t.equal(await client.ask('XSHA256 say "x"'), upper('sha256'))
  t.equal(await client.ask('XMD5 "my file" 100'), upper('md5', content.subarray(100)))
  t.equal(await client.ask('XMD5 f 100 200'), upper('md5', content.subarray(100, 200)))
  t.equal(await client.ask('XMD5 data 10 20'), upper('md5'), 'a file of that name comes first')
  t.equal(await client.ask('XCRC f'), `250 ${crc32(content).toString(16).padStart(8, '0').toUpperCase()}`)
  t.match(await client.ask('XMD5 f 200 100'), /^501 /)
  t.match(await client.ask('XMD5 f 9999999'), /^501 /)
  t.match(await client.ask('XMD5 none 1 2'), /^550 /)
  t.match(await client.ask('XMD5'), /^501 /)
})

test('a file that is cut while it is sent does not end with 226', async (t) => {
  const { port, root } = await startFtp(t)
  writeFileSync(`${root}/f`, Buffer.alloc(64 * 1024 * 1024))
  const client = await RawClient.login(port)
  const data = await client.data()
  data.pause()
  await client.ask('RETR f')
  truncateSync(`${root}/f`, 10)
  data.resume()
  t.match(await client.reply(), /^451 /)
})
