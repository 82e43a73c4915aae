// Delivery into a local folder.
// Must not write outside temporary folders.
import { readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { createConnector } from '../../../src/forwarding/connectors/create-connector.ts'
import { connectorSuite, deliveryOf, failureOf, localFolder, never } from '../../suites/connector-suite.ts'

test('local', async (t) => {
  const disk = await localFolder(t)
  await connectorSuite(t, { destination: { name: 'outbox', type: 'local', base_path: disk }, disk })
})

test('a link below the folder does not lead a delivery out of it', async (t) => {
  const disk = await localFolder(t)
  const outside = await localFolder(t)
  await symlink(outside, join(disk, 'out'))
  const connector = createConnector({ name: 'outbox', type: 'local', base_path: disk })
  for (const remotePath of ['out/f', 'out/deeper/f']) {
    t.match(await failureOf(connector.put(await deliveryOf(t, Buffer.from('x'), { remotePath }), never())), { code: 'remote.denied' })
  }
  t.same(await readdir(outside), [])
})

test('no message names a real path', async (t) => {
  const disk = await localFolder(t)
  await writeFile(join(disk, 'f'), 'x')
  const connector = createConnector({ name: 'outbox', type: 'local', base_path: disk })
  const failure = await failureOf(connector.put(await deliveryOf(t, Buffer.from('x'), { remotePath: 'f/below' }), never()))
  t.notMatch(failure.message, disk)
  t.match(failure.code, /^remote\./)
})
