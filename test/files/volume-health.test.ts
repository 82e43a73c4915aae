// What readiness says of the volumes: nothing when they are well, and which one is not.
// Must not fill the machine's own disk.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { volumeTroubles } from '../../src/files/volume-health.ts'

test('a folder that is gone is named; one that can be written is not', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fileflow-volume-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  t.same(volumeTroubles([{ name: 'data_dir', path: folder }]), [])
  t.same(
    volumeTroubles([
      { name: 'data_dir', path: folder },
      { name: 'storage_root', path: join(folder, 'gone') },
    ]),
    ['storage_root: cannot be written (ENOENT)'],
  )
  t.match(volumeTroubles([{ name: 'storage_root', path: '/proc' }]), [/^storage_root: /], 'one without free space')
})
