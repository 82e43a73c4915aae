// Delivery over FTP and FTPS to a real ProFTPD.
// Must not need anything but ProFTPD, unpacked by .ci/peers, and root.
import { join } from 'node:path'
import { test } from 'tap'
import type { DestinationSpec } from '../../../src/core/destination.ts'
import { createConnector } from '../../../src/forwarding/connectors/create-connector.ts'
import { connectorSuite, deliveryOf, namesBelow, never, remoteConnectorSuite } from '../../suites/connector-suite.ts'
import { type FarProftpd, startFarProftpd } from '../../support/far-proftpd.ts'

const destinationOf = (far: FarProftpd, tls: boolean): DestinationSpec => ({
  name: 'hq',
  type: tls ? 'ftps' : 'ftp',
  host: far.host,
  port: far.port,
  username: far.username,
  password: far.password,
  base_path: '/in',
  ...(tls ? { tls: { ca: far.certificate } } : {}),
})

for (const tls of [false, true]) {
  test(`ProFTPD, ${tls ? 'explicit TLS' : 'plain'}`, async (t) => {
    const far = await startFarProftpd(t, { tls })
    const side = { destination: destinationOf(far, tls), disk: join(far.root, 'in') }
    const first = createConnector(side.destination)
    const receipt = await first.put(await deliveryOf(t, Buffer.from('first'), { remotePath: 'first.txt' }), never())
    t.match(receipt, { outcome: 'sent', verified: 'hash', algorithm: 'sha256', method: 'HASH' }, 'its HASH is asked for')
    await first.close()
    await connectorSuite(t, side)
    await remoteConnectorSuite(t, side)
  })
}

test('a server without MLST, UTF8 and EPSV, and with an address of its own behind NAT, gets its files', async (t) => {
  const far = await startFarProftpd(t, {
    tls: true,
    config: [
      'MasqueradeAddress 192.0.2.77',
      'LangOptions PreferServerEncoding',
      'LangEngine off',
      '<Limit MLSD MLST EPSV FEAT>',
      'DenyAll',
      '</Limit>',
    ],
  })
  const connector = createConnector(destinationOf(far, true))
  t.teardown(() => connector.close())
  for (const name of ['plain.txt', 'Übergröße 漢字.csv', 'empty'])
    t.match(
      await connector.put(
        await deliveryOf(t, Buffer.from(name === 'empty' ? '' : name), { remotePath: name, onConflict: 'fail' }),
        never(),
      ),
      {
        outcome: 'sent',
      },
    )
  t.same(await namesBelow(join(far.root, 'in')), ['empty', 'plain.txt', 'Übergröße 漢字.csv'])
})
