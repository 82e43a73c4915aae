// A far end that dies at every position of a delivery: the next attempt delivers, once and whole, and nothing temporary stays.
// Must not guess where a position lies: over FTP it is a command, over SFTP a number of bytes.
import { randomBytes } from 'node:crypto'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { DestinationSpec } from '../../../src/core/destination.ts'
import { createConnector } from '../../../src/forwarding/connectors/create-connector.ts'
import type { AttemptError } from '../../../src/forwarding/connectors/errors.ts'
import { deliveryOf, namesBelow, never } from '../../suites/connector-suite.ts'
import { type FarProxy, startFarProxy } from '../../support/far-proxy.ts'
import { startFarSshd } from '../../support/far-sshd.ts'
import { startFarVsftpd } from '../../support/far-vsftpd.ts'

/** Delivers as the dispatcher does, over new connections, until it is done. @returns the receipt and the errors before it */
async function deliverThrough(t: Test, destination: DestinationSpec, content: Buffer) {
  const delivery = await deliveryOf(t, content)
  const errors: AttemptError[] = []
  for (let attempt = 1; attempt <= 3; attempt++) {
    const connector = createConnector(destination)
    try {
      // a second copy would take a second name, and be seen
      const unclear = errors.at(-1)?.unclear ?? false
      return { receipt: await connector.put({ ...delivery, attempt, unclear, onConflict: 'rename' }, never()), errors }
    } catch (error) {
      errors.push(error as AttemptError)
    } finally {
      await connector.close()
    }
  }
  throw new Error(`not delivered: ${errors.map(String).join('; ')}`)
}

/** @param arm says where the connection will be lost */
async function lostOnce(t: Test, what: string, far: { proxy: FarProxy; destination: DestinationSpec; disk: string }, arm: () => void) {
  await t.test(what, async (t) => {
    const content = randomBytes(300_000)
    arm()
    const { receipt, errors } = await deliverThrough(t, { ...far.destination, port: far.proxy.port }, content)
    far.proxy.cutAfter(Number.POSITIVE_INFINITY)
    for (const { code } of errors) t.match(code, /^remote\.(lost|unreachable)$/)
    t.match(receipt.outcome, /^(sent|found)$/)
    t.same(await namesBelow(far.disk), ['file.txt'], 'once, and nothing temporary')
    t.ok((await readFile(join(far.disk, 'file.txt'))).equals(content), 'every byte')
    await rm(join(far.disk, 'file.txt'))
  })
}

test('sftp: the connection is lost at each step, by bytes sent', async (t) => {
  const sshd = await startFarSshd(t)
  const proxy = await startFarProxy(t, sshd.port)
  const destination: DestinationSpec = {
    ...{ name: 'hq', type: 'sftp', host: sshd.host, port: proxy.port, username: sshd.username, private_key: sshd.privateKey },
    ...{ host_keys: [sshd.fingerprint], base_path: sshd.root },
  }
  const far = { proxy, destination, disk: sshd.root }
  const before = proxy.sent
  await deliverThrough(t, destination, randomBytes(300_000))
  const whole = proxy.sent - before
  await rm(join(sshd.root, 'file.txt'))
  const overhead = whole - 300_000
  // the greeting, the login and the open come before the data; fsync, close, verification and rename are the last packets
  const positions = [1, 900, overhead - 900, overhead - 500, whole >> 1, whole - 2000]
  for (let back = 560; back >= 0; back -= 70) positions.push(whole - back)
  for (const position of positions)
    await lostOnce(t, `lost after ${position} of ${whole} bytes`, far, () => proxy.cutAfter(proxy.sent + position - 1))
})

test('ftp: the connection is lost at each command, before and after the far side acted on it', async (t) => {
  const vsftpd = await startFarVsftpd({ t })
  const proxy = await startFarProxy(t, vsftpd.port)
  const { host, username, password } = vsftpd
  const destination: DestinationSpec = { name: 'hq', type: 'ftp', host, port: proxy.port, username, password, base_path: '/' }
  const far = { proxy, destination, disk: vsftpd.root }
  for (const command of ['USER', 'PASS', 'TYPE', 'EPSV', 'STOR', 'SIZE', 'RNFR', 'RNTO'])
    await lostOnce(t, `the answer to ${command} is lost`, far, () => proxy.loseAnswerTo(command))
})
