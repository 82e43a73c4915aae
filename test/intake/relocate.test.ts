// Folders that moved between two runs: what is on record goes with them once, whatever cuts the start short.
// Must not move a real file; test/recovery/moved-kill.test.ts does.
import { mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import SqliteDatabase from 'better-sqlite3'
import { type Test, test } from 'tap'
import { relocate } from '../../src/intake/relocate.ts'
import { recordedLog, tempStore } from '../store/temp-store.ts'

function moving(t: Test) {
  const { dir, store, file } = tempStore(t)
  const { log } = recordedLog()
  const at = (...parts: string[]): string => join(dir, ...parts)
  const run = (data_dir: string, storage_root: string) => {
    for (const each of [data_dir, storage_root]) mkdirSync(each, { recursive: true })
    return relocate(store, log, { data_dir, storage_root })
  }
  store.transfers.openSession({ id: 's', username: 'u', protocol: 'sftp', address: 'a', port: 1, method: 'm', client: 'c', started_at: 1 })
  const add = (id: string, final: string, spool: string): void => {
    const row = { id, session_id: 's', username: 'u', partner: '', protocol: 'sftp', address: 'a', path: '/f', path_bytes: null } as const
    const facts = { bytes: 1, sha256: 'h', staging: Buffer.from(`${spool}s`), evidence: [], at: 1, start_offset: 0, started_at: 1 }
    store.transfers.arrive({ ...row, ...facts, final: Buffer.from(final), spool: Buffer.from(spool), published_at: null })
  }
  const known = (id: string): string[] => {
    const { staging, final, spool } = store.transfers.get(id)!
    return [staging, final, spool].map(String)
  }
  return { at, run, add, known, file }
}

test('a start that ends before the rows have moved leaves it to the next one', (t) => {
  const { at, run, add, known, file } = moving(t)
  run(at('a'), at('a/files')).settled()
  add('t', at('a/files/u/f'), at('a/spool/t'))
  const other = new SqliteDatabase(file)
  other.exec("CREATE TRIGGER full BEFORE UPDATE ON transfers BEGIN SELECT RAISE(ABORT, 'full'); END")
  rmSync(at('a'), { recursive: true })
  t.throws(() => run(at('b'), at('b/files')), /full/)
  t.same(known('t'), [at('a/spool/ts'), at('a/files/u/f'), at('a/spool/t')])
  other.exec('DROP TRIGGER full')
  other.close()
  t.equal(run(at('b'), at('b/files')).moved(), true)
  t.same(known('t'), [at('b/spool/ts'), at('b/files/u/f'), at('b/spool/t')])
  t.end()
})

test('journals that the start did not come to read are read by the next one as those of the former place', (t) => {
  const { at, run, add, known } = moving(t)
  run(at('a'), at('a/files')).settled()
  add('t', at('a/files/u/f'), at('a/spool/t'))
  rmSync(at('a'), { recursive: true })
  const cut = run(at('a/inner'), at('a/inner/files'))
  t.equal(cut.now(at('a/spool/x'), 'vault'), at('a/inner/spool/x'))
  const next = run(at('a/inner'), at('a/inner/files'))
  t.equal(next.moved(), true)
  t.equal(next.now(at('a/spool/x'), 'vault'), at('a/inner/spool/x'))
  t.equal(next.now(at('a/files/u/x'), 'file'), at('a/inner/files/u/x'))
  t.same(known('t'), [at('a/inner/spool/ts'), at('a/inner/files/u/f'), at('a/inner/spool/t')], 'rows have moved once')
  next.settled()
  t.equal(next.moved(), false)
  const third = run(at('a/inner'), at('a/inner/files'))
  t.equal(third.moved(), false)
  t.equal(third.now(at('a/inner/spool/x'), 'vault'), at('a/inner/spool/x'))
  t.end()
})

test('a folder that went behind a link: partners’ files are known by where they really are, the gateway’s own by the way it takes', (t) => {
  const { at, run, add, known } = moving(t)
  run(at('a'), at('a/files')).settled()
  add('t', at('a/files/u/f'), at('a/spool/t'))
  rmSync(at('a'), { recursive: true })
  mkdirSync(at('far/files'), { recursive: true })
  symlinkSync(at('far'), at('a'))
  const moved = run(at('a'), at('a/files'))
  t.same(known('t'), [at('a/spool/ts'), at('far/files/u/f'), at('a/spool/t')])
  t.equal(moved.now(at('a/files/u/x'), 'file'), at('far/files/u/x'))
  t.equal(moved.now(at('a/spool/x'), 'vault'), at('a/spool/x'))
  t.end()
})
