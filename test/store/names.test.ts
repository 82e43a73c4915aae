// A name on the disk leads to what came to it: by an index, however much history there is, and the other names of a file go with its row.
// Must not measure time: the plan says whether the cost grows with history.
import { test } from 'tap'
import { newId } from '../../src/core/clock.ts'
import { createTransferRows } from '../../src/store/transfers.ts'
import { aCommit, anUpload, aSession, preparedBy, START, tempStore } from './temp-store.ts'

test('what a rename asks of all transfers ever recorded is answered by an index', (t) => {
  const { statements, planOf } = preparedBy(t, createTransferRows)
  const asked = statements.filter((sql) => /\bfinal = (\?|@final)/.test(sql) && sql.startsWith('SELECT'))
  t.equal(asked.length, 3, 'the last one at a name, a later one, another name')
  for (const sql of asked) {
    for (const step of planOf(sql))
      t.match(
        step,
        /SEARCH \w+ USING (INDEX transfers_at_final \(final=\?|PRIMARY KEY \(final=\?\)|INDEX sqlite_autoindex_transfers_1)/,
        sql,
      )
  }
  t.end()
})

test('another name leads to its transfer while the file is that one, until something else came there, and goes with the row', (t) => {
  const { store } = tempStore(t)
  aSession(store)
  const arrived = (id: string, final: string): void => {
    anUpload(store, id)
    const bytes = Buffer.from(final)
    store.transfers.commit(aCommit(id, final, { staging: bytes, final: bytes, spool: null }))
    store.transfers.publish(id, START)
  }
  const [first, second] = [newId(START), newId(START + 1)]
  arrived(first, '/a')
  store.transfers.moved(first, '/b', null, Buffer.from('/b'))
  store.transfers.addOtherName(Buffer.from('/a'), '1:7', first)
  t.equal(store.transfers.byOtherName(Buffer.from('/a'), '1:7')?.id, first)
  t.equal(store.transfers.byOtherName(Buffer.from('/a'), '1:8'), undefined)
  arrived(second, '/a')
  t.ok(store.transfers.lastAt(Buffer.from('/a'))!.commit_order! > store.transfers.byOtherName(Buffer.from('/a'), '1:7')!.since)
  store.group.now(() => store.prune(START + 1e9, START + 1e9, 100))
  t.equal(store.transfers.byOtherName(Buffer.from('/a'), '1:7'), undefined)
  t.end()
})
