// SFTP packets by hand over a raw channel: what no well-behaved client would send.
// Must not interpret replies beyond type and id.
import { once } from 'node:events'
import ssh2, { type Client, type ClientChannel } from 'ssh2'
import { PASSWORD } from './setup.ts'

export interface Reply {
  readonly type: number
  readonly id: number
  /** All after the id. */
  readonly body: Buffer
}

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value >>> 0)
  return bytes
}
export const u64 = (value: bigint | number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}
export const str = (value: string | Uint8Array): Buffer => {
  const bytes = Buffer.from(value as string)
  return Buffer.concat([u32(bytes.length), bytes])
}

export async function connect(port: number, more: object = {}): Promise<Client> {
  const client = new ssh2.Client()
  client.on('error', () => {})
  client.connect({ host: '127.0.0.1', port, username: 'partner', password: PASSWORD, ...more })
  await Promise.race([once(client, 'ready'), once(client, 'close').then(() => Promise.reject(new Error('closed before login')))])
  return client
}

export class RawSftp {
  readonly channel: ClientChannel
  readonly closed: Promise<unknown>
  #buffer = Buffer.alloc(0)
  #waiting: ((reply: Reply) => void)[] = []
  readonly replies: Reply[] = []
  #id = 1

  constructor(channel: ClientChannel) {
    this.channel = channel
    this.closed = once(channel, 'close')
    channel.on('data', (chunk: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk])
      while (this.#buffer.length >= 4 && this.#buffer.length >= 4 + this.#buffer.readUInt32BE(0)) {
        const length = this.#buffer.readUInt32BE(0)
        const packet = this.#buffer.subarray(4, 4 + length)
        this.#buffer = this.#buffer.subarray(4 + length)
        const reply = { type: packet[0]!, id: packet.readUInt32BE(1), body: packet.subarray(5) }
        const waiting = this.#waiting.shift()
        if (waiting) waiting(reply)
        else this.replies.push(reply)
      }
    })
  }

  static async open(client: Client, init = true): Promise<RawSftp> {
    const channel = await new Promise<ClientChannel>((resolve, reject) =>
      client.subsys('sftp', (error, made) => (error ? reject(error) : resolve(made))),
    )
    const raw = new RawSftp(channel)
    if (init) {
      raw.packet(1, u32(3))
      await raw.next()
    }
    return raw
  }

  packet(type: number, ...parts: Uint8Array[]): void {
    const body = Buffer.concat([Buffer.of(type), ...parts])
    this.channel.write(Buffer.concat([u32(body.length), body]))
  }

  /** Sends a request with the next id, and does not wait. */
  send(type: number, ...parts: Uint8Array[]): number {
    const id = this.#id++
    this.packet(type, u32(id), ...parts)
    return id
  }

  next(): Promise<Reply> {
    const reply = this.replies.shift()
    return reply ? Promise.resolve(reply) : new Promise((resolve) => this.#waiting.push(resolve))
  }

  ask(type: number, ...parts: Uint8Array[]): Promise<Reply> {
    this.send(type, ...parts)
    return this.next()
  }

  /** OPEN; the handle. */
  async file(path: string | Uint8Array, flags: number): Promise<Buffer> {
    const reply = await this.ask(3, str(path), u32(flags), u32(0))
    if (reply.type !== 102) throw new Error(`open: status ${reply.body.readUInt32BE(0)}`)
    return Buffer.from(reply.body)
  }
}

export const statusOf = (reply: Reply): number => (reply.type === 101 ? reply.body.readUInt32BE(0) : -1)
