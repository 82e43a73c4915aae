// Uploads that hang in another session of the user, as this session's files show them.
// Must not need a control plane: what it tells is told by hand.
import fs from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { begin, bytes, disk, entries, outcome, put, SURE, v } from './bench.ts'

const shown = async (session: Parameters<typeof entries>[0]) =>
  (await entries(session)).map((e) => `${e.name} ${e.size} ${e.partial}`).sort()

test('what is shown of an upload that hangs is what will be there to go on from: before its first hole, and one byte less', async (t) => {
  const d = disk(t)
  const [old, session] = [d.session(), d.session()]
  const upload = await begin(old, '/a', '0123456789')
  await upload.write(bytes('behind the hole'), 100)
  session.setHanging([{ transferId: upload.transferId, path: v('/a') }])
  t.match(await session.stat(v('/a')), { name: 'a', size: 9, partial: true })
  t.same(await shown(session), ['a 9 true'])
  t.equal(await outcome(session.openDownload(v('/a'))), 'path.not_found', 'it is there to be gone on with, not to be read')
  d.ledger.endHanging = async () => old.abandon(upload.transferId)
  await upload.sync()
  await session.setAttributes(v('/a'), { mtimeMs: 1_000_000 }).catch(() => undefined)
  await upload.abort(new Error('it has ended'))
  t.match(await session.stat(v('/a')), { size: 9, partial: true })
  await put(session, '/a', '9abc', { mode: 'resume' })
  t.equal(d.read('a'), '0123456789abc')
})

test('an upload that hangs stands before what was published before it, not before what came later; and after its end there is nothing of it', async (t) => {
  const d = disk(t)
  d.put('a', 'published')
  const past = new Date(Date.now() - 60_000)
  fs.utimesSync(join(d.home, 'a'), past, past)
  const [old, session] = [d.session(), d.session()]
  const upload = await begin(old, '/a', 'new content')
  const empty = await begin(old, '/empty', '')
  session.setHanging([
    { transferId: upload.transferId, path: v('/a') },
    { transferId: empty.transferId, path: v('/empty') },
    { transferId: '00000000000000000000', path: v('/nothing') },
  ])
  t.same(await shown(session), ['a 10 true'])
  await put(session, '/a', 'newest')
  t.same(await shown(session), ['a 6 false'])
  await upload.commit(SURE)
  t.same(await shown(session), ['a 11 false'])
  session.setHanging([])
  t.same(await shown(session), ['a 11 false'])
})
