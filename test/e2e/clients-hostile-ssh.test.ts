// An attacker at the SSH port, before login and after: the process lives, no service restarts, memory is bounded, and every descriptor comes back.
// Must not look into the gateway; only at /proc, the API, the log and whether an honest partner is still served.
import { randomBytes } from 'node:crypto'
import { Client, type ClientChannel } from 'ssh2'
import { test } from 'tap'
import { closed, dial, gatewayUnderTest, MiB, PASSWORD, survives } from '../support/abuse.ts'

/** Sends it, reads whatever comes, and goes when the server does, or after a while. */
async function throwAt(port: number, ...pieces: readonly (Buffer | string)[]): Promise<void> {
  const socket = await dial(port)
  socket.resume()
  for (const piece of pieces) if (!socket.destroyed) socket.write(piece)
  socket.end()
  socket.setTimeout(2000, () => socket.resetAndDestroy())
  await closed(socket)
}

test('junk for SSH before login ends without harm', async (t) => {
  const gateway = await gatewayUnderTest(t)
  const { sftp: port } = gateway.ports
  const length = (n: number): Buffer => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(n)
    return bytes
  }
  await survives(t, gateway, async () => {
    const banner = 'SSH-2.0-OpenSSH_9.2\r\n'
    for (let n = 0; n < 8; n++) await throwAt(port, randomBytes(40_000))
    await throwAt(port, Buffer.alloc(16 * MiB, 'A'))
    await throwAt(port, 'no banner\r\n'.repeat(100_000))
    await throwAt(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    await throwAt(port, 'SSH-1.5-old\r\n')
    await throwAt(port, `SSH-2.0-${'x'.repeat(10_000)}\r\n`, randomBytes(1000))
    for (const bad of [0, 1, 5, 12, 35_001, 2 ** 20, 2 ** 31, 2 ** 32 - 1]) await throwAt(port, banner, length(bad), randomBytes(4096))
    for (let n = 0; n < 30; n++) {
      // a KEXINIT whose name lists lie about their length
      const body = Buffer.concat([
        Buffer.from([20]),
        randomBytes(16),
        length(n * 1000),
        randomBytes(n),
        length(2 ** 32 - 1),
        randomBytes(40),
      ])
      const padding = 8 + ((8 - ((body.length + 5) % 8)) % 8)
      await throwAt(port, banner, length(body.length + padding + 1), Buffer.from([padding]), body, randomBytes(padding))
    }
  })
})

function sshClient(port: number): Promise<Client> {
  const client = new Client()
  return new Promise((resolve, reject) => {
    client.on('ready', () => resolve(client))
    client.on('error', reject)
    client.connect({ host: '127.0.0.1', port, username: 'partner', password: PASSWORD })
  })
}

const rawSftp = (client: Client): Promise<ClientChannel> =>
  new Promise((resolve, reject) => client.subsys('sftp', (error, channel) => (error ? reject(error) : resolve(channel))))

const u32 = (n: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(n >>> 0)
  return bytes
}
const text = (s: string): Buffer => Buffer.concat([u32(Buffer.byteLength(s)), Buffer.from(s)])
const packet = (type: number, ...fields: readonly Buffer[]): Buffer => {
  const body = Buffer.concat([Buffer.from([type]), ...fields])
  return Buffer.concat([u32(body.length), body])
}
const INIT = packet(1, u32(3))
const FAR = Buffer.alloc(8, 0xff)

test('a logged-in attacker that sends bad SFTP packets, or never reads, harms nobody else', async (t) => {
  const gateway = await gatewayUnderTest(t)
  await survives(t, gateway, async () => {
    const bad: readonly (readonly Buffer[])[] = [
      [u32(0)],
      [u32(2 ** 32 - 1), randomBytes(100_000)],
      [u32(2 ** 31)],
      [INIT, u32(0), u32(0)],
      [INIT, packet(3, u32(1))],
      [INIT, packet(3, u32(1), u32(2 ** 32 - 1), randomBytes(10))],
      [INIT, packet(4, u32(1), u32(400), randomBytes(4))],
      [INIT, packet(6, u32(1), text('nope'), FAR, u32(2 ** 32 - 1))],
      [INIT, packet(5, u32(1), text('\0\0\0\0'), FAR, u32(2 ** 32 - 1))],
      [INIT, packet(200, u32(1), u32(2 ** 32 - 1))],
      [INIT, packet(200, u32(1), text('limits@openssh.com'), randomBytes(3))],
      [INIT, packet(255, randomBytes(200))],
      [INIT, INIT, INIT],
      [INIT, packet(9, u32(1), text('x'), u32(2 ** 32 - 1))],
      [INIT, packet(20, u32(1), text('a\0b'), text('../../..'))],
      [
        INIT,
        packet(3, u32(1), text('w.bin'), u32(26), u32(0)),
        packet(6, u32(2), u32(4), u32(0), FAR, text('data')),
        packet(6, u32(3), u32(4), u32(1), FAR, text('data')),
      ],
      [INIT, randomBytes(200_000)],
    ]
    for (const pieces of bad) {
      const client = await sshClient(gateway.ports.sftp)
      const channel = await rawSftp(client)
      const over = new Promise<void>((resolve) => {
        channel.once('close', () => resolve())
        client.once('close', () => resolve())
      })
      client.on('error', () => client.destroy())
      channel.on('error', () => client.destroy())
      channel.resume()
      for (const piece of pieces) channel.write(piece)
      channel.end()
      await over
      client.destroy()
    }
    // thousands of requests whose answers nobody reads, on many channels
    const client = await sshClient(gateway.ports.sftp)
    client.on('error', () => client.destroy())
    const many = Array.from({ length: 4000 }, (_, id) => packet(id % 2 ? 16 : 17, u32(id), text('/'.repeat(500)))).concat(
      Array.from({ length: 4000 }, (_, id) => packet(11, u32(id), text('/'))),
    )
    for (let n = 0; n < 8; n++) {
      const channel = await rawSftp(client)
      channel.on('error', () => client.destroy())
      channel.write(Buffer.concat([INIT, ...many]))
    }
    await t.rejects(
      (async () => {
        for (let n = 0; n < 20; n++) await rawSftp(client)
      })(),
      'channels are limited',
    )
    client.destroy()
  })
})
