// Delivery over SFTP to another FileFlow, and what the audit log says of a destination that was tested.
// Must not need anything but this gateway.
import { test } from 'tap'
import { createConnector } from '../../../src/forwarding/connectors/create-connector.ts'
import { deliveryOf, never } from '../../suites/connector-suite.ts'
import { startGateway } from '../../support/gateway.ts'

test('the receipt of a delivery to another FileFlow says hash', async (t) => {
  const far = await startGateway(t)
  await far.apply({ users: [{ username: 'near', password: 'near-pass-1234' }] })
  const connector = createConnector({
    name: 'far',
    type: 'sftp',
    host: '127.0.0.1',
    port: far.ports.sftp,
    username: 'near',
    password: 'near-pass-1234',
    host_keys: 'insecure',
  })
  t.teardown(() => connector.close())
  const delivery = await deliveryOf(t, Buffer.from('content'), { remotePath: 'it’s a file.txt', tempName: '.a.part' })
  t.match(await connector.put(delivery, never()), { verified: 'hash', algorithm: 'sha256', method: 'check-file' })
})

test('a destination test that fails is in the audit log as failed', async (t) => {
  const gateway = await startGateway(t)
  await gateway.apply({
    destinations: [
      { name: 'nowhere', type: 'sftp', host: '127.0.0.1', port: 1, username: 'u', password: 'pass-1234', host_keys: 'insecure' },
      { name: 'here', type: 'local', base_path: gateway.folder },
    ],
  })
  for (const name of ['nowhere', 'here']) await gateway.api('POST', `/destinations/${name}/test`).catch(() => undefined)
  const { items } = await gateway.api<{ items: { action: string; object: string; outcome: string }[] }>('GET', '/audit?limit=100')
  const outcomes = items.filter(({ action }) => action === 'destination.test').map(({ object, outcome }) => `${object} ${outcome}`)
  t.same(outcomes.sort(), ['here ok', 'nowhere failed'])
})
