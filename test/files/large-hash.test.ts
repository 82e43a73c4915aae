// Large uploads are hashed by a thread beside: what is recorded must be the digest of what lies on the disk, however the file came to be.
// Must not ask the hasher itself.
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { FileFlowError } from '../../src/core/errors.ts'
import { type Disk, disk, outcome, SURE, v } from './bench.ts'

const MIB = 1024 * 1024
const content = (length: number, seed: number): Buffer => Buffer.alloc(length, Buffer.from(`${seed} is what this piece holds.`))
const cancelled = new FileFlowError('transfer.aborted')

/** Whether a descriptor is of a file (not a folder) below `root`. */
function isFileIn(root: string, fd: string): boolean {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(root) && fs.fstatSync(Number(fd)).isFile()
  } catch {
    // closed by now
    return false
  }
}

function same(t: Test, d: Disk, name: string, expected: Buffer, what: string): void {
  const onDisk = fs.readFileSync(join(d.home, name))
  t.ok(onDisk.equals(expected), `${what}: the file`)
  t.equal(d.ledger.committed.at(-1)?.sha256, createHash('sha256').update(expected).digest('hex'), `${what}: its digest`)
}

test('a small file is recorded with the digest of its content, in however many writes it came', async (t) => {
  const d = disk(t)
  const session = d.session()
  const KIB = 1024
  for (const lengths of [
    [],
    [1],
    [1000],
    [10, 20, 30],
    [16 * KIB],
    [16 * KIB, 1],
    [16 * KIB + 1, 7],
    [5, 32 * KIB, 3],
    [100, 64 * KIB, 64 * KIB],
  ]) {
    const whole = content(
      lengths.reduce((sum, length) => sum + length, 0),
      lengths.length,
    )
    const upload = await session.beginUpload(v('/small'), { mode: 'replace' })
    let at = 0
    for (const length of lengths) {
      // in pieces, and in memory that is used for something else right after
      const lent = Buffer.from(whole.subarray(at, at + length))
      await upload.writev([lent.subarray(0, length >> 1), lent.subarray(length >> 1)], at)
      lent.fill(0)
      at += length
    }
    await upload.commit(SURE)
    same(t, d, 'small', whole, `in writes of ${lengths.join(', ') || 'nothing'}`)
  }
  const changed = await session.beginUpload(v('/changed'), { mode: 'replace' })
  await changed.write(content(500, 2), 0)
  await changed.write(content(100, 3), 200)
  await changed.commit(SURE)
  same(t, d, 'changed', Buffer.concat([content(500, 2).subarray(0, 200), content(100, 3), content(500, 2).subarray(300)]), 'written over')
  const begunAgain = await session.beginUpload(v('/again'), { mode: 'replace' })
  await begunAgain.write(content(500, 4), 0)
  await begunAgain.truncate(0)
  await begunAgain.write(content(300, 5), 0)
  await begunAgain.commit(SURE)
  same(t, d, 'again', content(300, 5), 'begun again')
})

test('a large file is recorded with the digest of its content', async (t) => {
  const d = disk(t)
  const session = d.session()
  const whole = content(11 * MIB + 17, 1)
  const upload = await session.beginUpload(v('/in-order'), { mode: 'replace' })
  for (let at = 0; at < whole.length; at += 700_001) await upload.write(whole.subarray(at, at + 700_001), at)
  await upload.commit(SURE)
  same(t, d, 'in-order', whole, 'in order')

  const rewritten = await session.beginUpload(v('/rewritten'), { mode: 'replace' })
  for (let at = 0; at < whole.length; at += MIB) await rewritten.write(whole.subarray(at, at + MIB), at)
  await rewritten.write(Buffer.from('other'), 3)
  await rewritten.commit(SURE)
  same(t, d, 'rewritten', Buffer.concat([whole.subarray(0, 3), Buffer.from('other'), whole.subarray(8)]), 'with its beginning rewritten')

  const shorter = await session.beginUpload(v('/shorter'), { mode: 'replace' })
  await shorter.write(whole, 0)
  await shorter.truncate(6 * MIB)
  await shorter.write(Buffer.from('end'), 6 * MIB)
  await shorter.commit(SURE)
  same(t, d, 'shorter', Buffer.concat([whole.subarray(0, 6 * MIB), Buffer.from('end')]), 'cut and gone on with')

  const anew = await session.beginUpload(v('/anew'), { mode: 'replace' })
  await anew.write(whole, 0)
  await anew.truncate(0)
  await anew.write(whole.subarray(0, 5 * MIB), 0)
  await anew.truncate(5 * MIB)
  await anew.commit(SURE)
  same(t, d, 'anew', whole.subarray(0, 5 * MIB), 'begun anew')

  const scattered = await session.beginUpload(v('/scattered'), { mode: 'replace' })
  await Promise.all([2, 0, 1].map((i) => scattered.write(content(3 * MIB, i), i * 3 * MIB)))
  await scattered.commit(SURE)
  same(t, d, 'scattered', Buffer.concat([0, 1, 2].map((i) => content(3 * MIB, i))), 'out of order')
})

test('a large upload that was cut and resumed is recorded with the digest of the whole', async (t) => {
  const d = disk(t)
  const session = d.session()
  const whole = content(12 * MIB, 2)
  const first = await session.beginUpload(v('/a'), { mode: 'replace' })
  await first.write(whole.subarray(0, 7 * MIB), 0)
  await first.abort(cancelled)
  const second = await session.beginUpload(v('/a'), { mode: 'resume' })
  const at = second.size
  for (let from = at; from < whole.length; from += MIB) await second.write(whole.subarray(from, from + MIB), from)
  await second.commit(SURE)
  same(t, d, 'a', whole, 'resumed')
})

test('no descriptor stays behind large uploads that were aborted', async (t) => {
  const d = disk(t)
  const session = d.session()
  const open = () => fs.readdirSync('/proc/self/fd').filter((fd) => isFileIn(d.root, fd)).length
  const one = async () => {
    const upload = await session.beginUpload(v('/a'), { mode: 'replace' })
    await upload.write(content(5 * MIB, 3), 0)
    await upload.abort(cancelled)
  }
  for (let i = 0; i < 30; i++) await one()
  const commit = await session.beginUpload(v('/b'), { mode: 'replace' })
  await commit.write(content(5 * MIB, 4), 0)
  // its answer comes behind those of all before
  await commit.commit(SURE)
  t.equal(open(), 0)
  t.equal(await outcome(session.stat(v('/b'))), 'ok')
})

test('memory that is lent to a write is given back in the order of the writes, and only when it was hashed, while the next ones are written', async (t) => {
  const d = disk(t)
  const session = d.session()
  const whole = content(24 * MIB + 5, 6)
  const free = Array.from({ length: 3 }, () => Buffer.from(new SharedArrayBuffer(MIB)))
  const lent: number[] = []
  const back: number[] = []
  let wake: (() => void) | undefined
  const upload = await session.beginUpload(v('/lent'), { mode: 'replace' })
  for (let at = 0; at < whole.length; at += MIB) {
    while (free.length === 0)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    const memory = free.shift()!
    const piece = whole.subarray(at, Math.min(whole.length, at + MIB))
    piece.copy(memory)
    lent.push(at)
    await upload.writev([memory.subarray(0, piece.length)], at, () => {
      memory.fill(0)
      back.push(at)
      free.push(memory)
      wake?.()
    })
  }
  await upload.commit(SURE)
  same(t, d, 'lent', whole, 'lent memory')
  t.same(back, lent)
})

test("memory that is shared with the hashing is the caller's again when its write has ended", async (t) => {
  const d = disk(t)
  const session = d.session()
  const whole = content(14 * MIB + 5, 4)
  const memory = Buffer.from(new SharedArrayBuffer(MIB))
  const send = async (
    name: string,
    upload: Awaited<ReturnType<typeof session.beginUpload>>,
    sharedAt: (at: number) => boolean,
    to: number,
  ) => {
    for (let at = upload.size; at < to; at += MIB) {
      const piece = whole.subarray(at, Math.min(to, at + MIB))
      piece.copy(memory)
      const half = Math.floor(piece.length / 2)
      const shared = [memory.subarray(0, half), memory.subarray(half, piece.length)]
      await upload.writev(sharedAt(at) ? shared : [Buffer.concat(shared)], at)
      memory.fill(0)
    }
    t.equal(upload.size, to, `${name}: its size`)
  }

  const all = await session.beginUpload(v('/all'), { mode: 'replace' })
  await send('all', all, () => true, whole.length)
  await all.commit(SURE)
  same(t, d, 'all', whole, 'all of it shared')

  const turns = await session.beginUpload(v('/turns'), { mode: 'replace' })
  await send('turns', turns, (at) => (at / MIB) % 3 === 0, whole.length)
  await turns.commit(SURE)
  same(t, d, 'turns', whole, 'shared and not by turns')

  const cut = await session.beginUpload(v('/cut'), { mode: 'replace' })
  await send('cut', cut, () => true, 9 * MIB)
  await cut.truncate(7 * MIB)
  await send('cut', cut, () => true, 12 * MIB)
  await cut.commit(SURE)
  same(t, d, 'cut', whole.subarray(0, 12 * MIB), 'cut and gone on with')

  const both = await Promise.all(['one', 'two'].map((name) => session.beginUpload(v(`/${name}`), { mode: 'replace' })))
  const own = both.map(() => Buffer.from(new SharedArrayBuffer(MIB)))
  await Promise.all(
    both.map(async (upload, i) => {
      for (let at = 0; at < 10 * MIB; at += MIB) {
        own[i]!.fill(`${i} ${at}`)
        await upload.write(own[i]!, at)
      }
      await upload.commit(SURE)
    }),
  )
  for (const [i, name] of ['one', 'two'].entries()) {
    const onDisk = fs.readFileSync(join(d.home, name))
    const expected = Buffer.concat(Array.from({ length: 10 }, (_, n) => Buffer.alloc(MIB, `${i} ${n * MIB}`)))
    t.ok(onDisk.equals(expected), `side by side, ${name}: the file`)
    const row = d.ledger.committed.find((each) => each.path === `/${name}`)
    t.equal(row?.sha256, createHash('sha256').update(expected).digest('hex'), `side by side, ${name}: its digest`)
  }
})
