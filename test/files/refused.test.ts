// What a partner is refused is told to the control plane, each way once, and never without bound.
// Must not hear of what merely is not there.
import { test } from 'tap'
import { FileFlowError } from '../../src/core/errors.ts'
import { PERMISSIONS } from '../../src/core/permission.ts'
import { disk, everything, v } from './bench.ts'

const ALL_OVER = new FileFlowError('session.revoked')

test('every operation that the permissions refuse is told, with its path and code', async (t) => {
  const d = disk(t)
  d.put('a', 'x')
  d.put('in/a', 'x')
  const files = d.session({ permissions: [everything('/in'), { path: v('/'), allow: [] }] })
  const a = v('/a')
  const tries: [string, () => Promise<unknown>][] = [
    ['list', () => files.list(v('/')).next()],
    ['stat', () => files.stat(a)],
    ['download', () => files.openDownload(a)],
    ['digest', () => files.digest(a, 'sha256')],
    ['upload', () => files.beginUpload(v('/new'), { mode: 'replace' })],
    ['mkdir', () => files.mkdir(v('/folder'))],
    ['rmdir', () => files.rmdir(v('/other'))],
    ['delete', () => files.remove(a)],
    ['rename', () => files.rename(a, v('/in/b'), { overwrite: true })],
    ['link', () => files.link(a, v('/in/b'))],
    ['setattr', () => files.setAttributes(a, { mode: 0o600 })],
    ['symlink', () => files.symlink('a', v('/link'))],
  ]
  for (const [action, attempt] of tries) await t.rejects(attempt(), { code: 'permission.denied' }, action)
  t.match(
    d.ledger.refusals,
    tries.map(([action]) => ({ sessionId: files.sessionId, action, code: 'permission.denied', path: String })),
  )
  t.match(d.ledger.refusals.at(8), { path: '/a', to: '/in/b' })
  t.equal(d.ledger.refusals.length, tries.length)
  await files.close(ALL_OVER)
  t.equal(d.ledger.refusals.length, tries.length, 'nothing more, nothing said')
})

test('what does not stand there, or works, is no refusal', async (t) => {
  const d = disk(t)
  d.put('folder/a', 'x')
  const files = d.session()
  await t.rejects(files.stat(v('/nothing')), { code: 'path.not_found' })
  await t.rejects(files.remove(v('/folder')), { code: 'path.is_directory' })
  await t.rejects(files.mkdir(v('/folder')), { code: 'path.exists' })
  const names: string[] = []
  for await (const { name } of files.list(v('/folder'))) names.push(name)
  t.same(names, ['a'])
  await files.close(ALL_OVER)
  await t.rejects(files.stat(v('/folder')), { code: 'session.revoked' })
  t.same(d.ledger.refusals, [])
})

test('a session that is refused over and over tells of twenty, and then how many more there were, also while it lasts', async (t) => {
  const d = disk(t)
  const allow = PERMISSIONS.filter((one) => one !== 'delete' && one !== 'list')
  const files = d.session({ permissions: [{ path: v('/'), allow }] })
  for (let i = 0; i < 50; i++) await t.rejects(files.stat(v(`/${i}`)))
  for (let i = 0; i < 5; i++) await t.rejects(files.remove(v('/same')))
  for (let i = 0; i < 100; i++) await t.rejects(files.remove(v(`/file${i}`)))
  t.same(d.ledger.refusals.slice(20), [100], 'a kill takes at most half of the number')
  t.match(d.ledger.refusals.slice(0, 3), [
    { action: 'stat', path: '/0' },
    { action: 'delete', path: '/same' },
    { action: 'delete', path: '/file0' },
  ])
  await files.close(ALL_OVER)
  await files.close(ALL_OVER)
  t.same(d.ledger.refusals.slice(20), [100, 49 + 4 + 82 - 100])
})

test('a quota that refuses an upload, and a mount that may not be changed, are told of', async (t) => {
  const d = disk(t)
  const files = d.session({ quota: { bytes: 10 }, mounts: [{ path: '/shared', target: d.outside, readOnly: true }] })
  d.ledger.meanwhile.beginTransfer = () => {
    throw new FileFlowError('quota.exceeded')
  }
  await t.rejects(files.beginUpload(v('/a'), { mode: 'replace' }), { code: 'quota.exceeded' })
  await t.rejects(files.remove(v('/shared/secret')), { code: 'permission.denied' })
  await t.rejects(files.rmdir(v('/shared')), { code: 'permission.denied' })
  t.match(d.ledger.refusals, [
    { action: 'upload', path: '/a', code: 'quota.exceeded' },
    { action: 'delete', path: '/shared/secret', code: 'permission.denied' },
    { action: 'rmdir', path: '/shared', code: 'permission.denied' },
  ])
})
