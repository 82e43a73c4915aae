// What speaks for an upload being whole when its data ends, and how long the end is doubted where little does.
// Must not commit or give up anything.
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { FileFlowError } from '../../core/errors.ts'
import type { Verdict } from '../../core/transfer.ts'
import { type RunQueue, runQueue } from '../../files/run-queue.ts'
import type { FtpConnection } from './connection.ts'
import { WatchedTls } from './tls.ts'
import type { RunningTransfer } from './transfer.ts'

/** The share of the transfer's time, and at most so much for that. */
const SHARE = 0.05
const MOST_SHARE_MS = 50
/** For TLS without its end mark, which is suspicious in itself: nearly all clients send it. */
const UNMARKED_MS = 20
/** Clients send so much at once: what is shorter came whole or not at all. */
const PIECE_BYTES = 8 * 1024
/** What a process may run before another one has its turn (seen: 6), and how many of them on one processor are no crowd. */
const TURN_MS = 10
const NO_CROWD = 1.5
const MOST_CROWD_MS = 250
/** Turns of the event loop in any case: what the kernel has at hand is seen. */
const LEAST_TURNS = 2
const NOBODY: RunQueue = { runnable: 0, processors: 1 }

export interface DataEnd {
  /** From the open data connection to its end. */
  readonly tookMs: number
  /** Over TLS, and the peer did not say that this is the end. */
  readonly unmarked: boolean
}

/**
 * FTP's stream mode has no end mark (RFC 959 §3.4.1): a killed client looks like a finished one until its control connection ends, too. The kernel closes the
 * sockets of a killed process one after the other, and lets others run in between where they wait. So the other end is waited for: the longer a transfer took, the
 * likelier its client was killed in it, and the more processes wait (clients on the same machine), the later its last socket is closed. Small files lose nothing.
 * @returns ms
 */
export function doubtMs({ tookMs, unmarked }: DataEnd, { runnable, processors }: RunQueue): number {
  const share = Math.min(MOST_SHARE_MS, tookMs * SHARE)
  const crowd = Math.max(0, runnable / processors - NO_CROWD) * TURN_MS
  return share + (unmarked ? UNMARKED_MS : 0) + Math.min(MOST_CROWD_MS, crowd)
}

/**
 * @param asAnnounced as long as ALLO said
 * @throws FileFlowError `upload.incomplete` when the control connection was lost with the data connection
 */
export async function judge(
  connection: FtpConnection,
  transfer: RunningTransfer,
  socket: Socket,
  { asAnnounced, tookMs }: { asAnnounced: boolean; tookMs: number },
): Promise<Verdict> {
  const certain: string[] = []
  const tls = socket instanceof WatchedTls
  if (tls && socket.endAnnounced) certain.push('tls close_notify')
  if (asAnnounced) certain.push('allo size')
  if (certain.length > 0) return { confidence: 'certain', evidence: certain }
  const queue = transfer.bytes > PIECE_BYTES ? runQueue() : NOBODY
  const moment = doubtMs({ tookMs, unmarked: tls }, queue)
  for (let turn = 0; turn < LEAST_TURNS; turn++) await new Promise((resolve) => setImmediate(resolve))
  // an end of the control connection aborts the transfer, and so the wait
  if (moment >= 1) await sleep(moment, undefined, { signal: transfer.signal }).catch(() => undefined)
  mustLive(connection, transfer)
  return { confidence: 'likely', evidence: ['control alive'] }
}

/** What a likely verdict rests on. @throws FileFlowError `upload.incomplete` */
export function mustLive(connection: FtpConnection, transfer: RunningTransfer): void {
  if (!transfer.signal.aborted && !connection.ended) return
  throw new FileFlowError('upload.incomplete', 'The control connection was lost with the data connection.')
}
