// OpenSSH's SFTP service behind a relay that may answer in its place, and change what it answers: servers that lie, lack and break.
// Must not be taken for a server: any login is good.
import { spawn } from 'node:child_process'
import ssh2, { type Connection } from 'ssh2'
import type { Test } from 'tap'
import type { DestinationSpec } from '../../src/core/destination.ts'
import { sshKeyPair } from './ssh-keys.ts'

/** An SFTP packet without its length: type, then (but for INIT and VERSION) its request's id. */
export type Packet = Buffer

export interface OddSftpOptions {
  /** The service's answer to a request, or what is said in its place; undefined: the service is asked. */
  readonly request?: (packet: Packet) => readonly Packet[] | undefined
  /** Bytes in the place of an answer, as they are. */
  readonly raw?: (packet: Packet) => Buffer | undefined
  /** Says all byte by byte. */
  readonly inBytes?: boolean
  /** Takes the login and ends the channel in the place of its first word. */
  readonly endsAtOnce?: boolean
  /** What becomes of an answer. */
  readonly answer?: (packet: Packet) => readonly Packet[]
  /** Bytes in the place of all that the service would say, from the first on. */
  readonly noise?: Buffer
  readonly connection?: (client: Connection) => void
}

export interface OddSftp {
  readonly destination: DestinationSpec & { base_path: string }
  /** The types of the requests, in order; extended ones by name. */
  readonly asked: string[]
  readonly disk: string
  /** The key it shows from now on. */
  showKey(key: string): void
}

export const u32 = (value: number): Buffer => {
  const out = Buffer.alloc(4)
  out.writeUInt32BE(value >>> 0)
  return out
}
export const str = (text: string | Buffer): Buffer => Buffer.concat([u32(Buffer.byteLength(text)), Buffer.from(text)])
export const packet = (type: number, id: number, ...fields: Buffer[]): Packet => Buffer.concat([Buffer.of(type), u32(id), ...fields])
export const status = (id: number, code: number, text = ''): Packet => packet(101, id, u32(code), str(text), str(''))
export const idOf = (packet: Packet): number => packet.readUInt32BE(1)
/** The name of an extended request. */
export const extensionOf = (packet: Packet): string | null => (packet[0] === 200 ? textAt(packet, 5) : null)
export const textAt = (packet: Packet, at: number): string => packet.toString('utf8', at + 4, at + 4 + packet.readUInt32BE(at))
/** Names one more extension in the greeting. */
export const offering =
  (name: string, value: string) =>
  (packet: Packet): Packet[] => [packet[0] === 2 ? Buffer.concat([packet, str(name), str(value)]) : packet]

/** @param take each packet. */
function framed(take: (packet: Packet) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
      const end = 4 + rest.readUInt32BE(0)
      take(Buffer.from(rest.subarray(4, end)))
      rest = rest.subarray(end)
    }
  }
}

export async function startOddSftp(t: Test, options: OddSftpOptions = {}): Promise<OddSftp> {
  const asked: string[] = []
  const disk = t.testdir()
  let key = sshKeyPair('ed25519').private
  const accept = (client: Connection): void => {
    client.on('error', () => undefined)
    client.on('authentication', (context) => context.accept())
    options.connection?.(client)
    client.on('session', (accept) =>
      accept().on('subsystem', (take) => {
        const channel = take()
        if (options.noise) channel.write(options.noise)
        if (options.endsAtOnce) return channel.end()
        let saying = Promise.resolve()
        const write = (bytes: Buffer): void => {
          if (!options.inBytes) return void channel.write(bytes)
          saying = saying.then(async () => {
            for (const byte of bytes) {
              channel.write(Buffer.of(byte))
              await new Promise((resolve) => setImmediate(resolve))
            }
          })
        }
        const child = spawn('/usr/lib/openssh/sftp-server', ['-e'], { stdio: ['pipe', 'pipe', 'ignore'] })
        const say = (packets: readonly Packet[]): void => {
          if (!options.noise) for (const each of packets) write(Buffer.concat([u32(each.length), each]))
        }
        channel.on(
          'data',
          framed((request) => {
            asked.push(extensionOf(request) ?? String(request[0]))
            const raw = options.raw?.(request)
            const odd = options.request?.(request)
            if (raw) write(raw)
            else if (odd) say(odd)
            else child.stdin.write(Buffer.concat([u32(request.length), request]))
          }),
        )
        channel.on('error', () => undefined)
        child.stdin.on('error', () => undefined)
        child.stdout.on(
          'data',
          framed((answer) => say(options.answer?.(answer) ?? [answer])),
        )
        channel.once('close', () => child.kill())
        child.once('close', () => channel.end())
      }),
    )
  }
  const start = async (port: number): Promise<ssh2.Server> => {
    const server = new ssh2.Server({ hostKeys: [key] }, accept)
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
    return server
  }
  let server = await start(0)
  t.teardown(() => void server.close())
  const { port } = server.address() as { port: number }
  return {
    asked,
    disk,
    destination: {
      ...{ name: 'odd', type: 'sftp', host: '127.0.0.1', port, username: 'u', password: 'p', host_keys: 'insecure' },
      base_path: disk,
    },
    showKey(other) {
      key = other
      // connections that are open live on
      server.close()
      void start(port).then((next) => {
        server = next
      })
    },
  }
}
