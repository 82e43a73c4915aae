// A TCP relay in front of a far server that can lose the connection at a chosen moment.
// Must not understand more than bytes.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { TearsDown } from './far-process.ts'

export interface FarProxy {
  readonly port: number
  /** Loses the connection when the client has sent this text and the server has answered it; the answer is not passed on. Once. */
  loseAnswerTo(text: string): void
  /** Loses every connection once the clients have sent so many bytes in all. Once. */
  cutAfter(bytes: number): void
  /** Bytes that clients sent so far. */
  readonly sent: number
  /** Loses every connection that is open. */
  cutAll(): void
  /** Answers pass so much later, ms. */
  delayMs: number
  /** While true nothing passes, and nobody is told: a far end that hangs. */
  stalled: boolean
  /** While true every new connection is dropped at once, as by a far end that is down. */
  down: boolean
  /** Connections accepted so far. */
  readonly count: number
}

export async function startFarProxy(t: TearsDown, to: number): Promise<FarProxy> {
  const sockets = new Set<Socket>()
  let trigger: string | null = null
  let count = 0
  let sent = 0
  let most = Number.POSITIVE_INFINITY
  let down = false
  let stalled = false
  let delayMs = 0
  const server = createServer((near) => {
    count++
    if (down) return void near.resetAndDestroy()
    const far = connect(to, '127.0.0.1')
    let losing = false
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroySoon()
      })
    }
    near.on('data', (chunk) => {
      if (stalled) return
      if (trigger !== null && chunk.includes(trigger)) {
        trigger = null
        losing = true
      }
      sent += chunk.length
      // what was received until then still reaches the far side, as with a line that breaks
      if (far.writable) far.write(chunk)
      if (sent > most) {
        most = Number.POSITIVE_INFINITY
        near.resetAndDestroy()
      }
    })
    far.on('data', (chunk) => {
      if (losing) near.resetAndDestroy()
      else if (delayMs > 0) setTimeout(() => near.writable && near.write(chunk), delayMs)
      else if (!stalled) near.write(chunk)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cutAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  t.teardown(() => {
    cutAll()
    server.close()
  })
  return {
    port: (server.address() as { port: number }).port,
    loseAnswerTo(text) {
      trigger = text
    },
    cutAll,
    cutAfter(bytes) {
      most = bytes
    },
    get sent() {
      return sent
    },
    get delayMs() {
      return delayMs
    },
    set delayMs(value) {
      delayMs = value
    },
    get stalled() {
      return stalled
    },
    set stalled(value) {
      stalled = value
    },
    get down() {
      return down
    },
    set down(value) {
      down = value
    },
    get count() {
      return count
    },
  }
}
