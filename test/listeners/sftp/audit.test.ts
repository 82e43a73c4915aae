// The algorithms that are offered, as ssh-audit judges them.
// Must not allow what it fails.
import { test } from 'tap'
import { setup } from './setup.ts'

test('ssh-audit finds nothing to fail', async (t) => {
  const s = await setup(t)
  const ran = await s.run('ssh-audit', ['-n', '-p', String(s.port), '127.0.0.1'])
  t.match(ran.out, /\(kex\) curve25519-sha256/, ran.err)
  t.strictSame(
    ran.out.split('\n').filter((line) => line.includes('[fail]')),
    [],
  )
})
