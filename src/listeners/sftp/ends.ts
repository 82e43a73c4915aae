// How a session and what it left open ended, in the words that are recorded: what the client did is told apart from what befell it.
// Must not end anything; connection.ts and the channels do.
import { type ErrorRecord, FileFlowError, fromErrorRecord } from '../../core/errors.ts'

export interface End {
  /** Of the session, as its row and the log say; the admin page has words for it. */
  readonly reason: string
  /** What open transfers are ended with. */
  readonly why: FileFlowError
}

const aborted = (reason: string, text: string): ((cause?: unknown) => End) => {
  return (cause) => ({ reason, why: new FileFlowError('transfer.aborted', text, { cause }) })
}

export const ENDS = {
  /** SSH_MSG_DISCONNECT without a complaint, or the end of a connection whose channels were all closed before (rclone, paramiko). */
  goodbye: aborted('quit', 'The client disconnected and left the file open.'),
  /** An end of input with channels open: from the kernel of a killed client, too. */
  dropped: aborted('dropped', 'The client closed the connection without a goodbye.'),
  lost: aborted('lost', 'The connection was lost.'),
  /** It did not answer to signs of life. */
  silent: aborted('lost', 'The client no longer answered.'),
  /** SSH_MSG_DISCONNECT with another reason. */
  complained: aborted('complained', 'The client broke off the connection with a complaint.'),
  /** Something that is not SSH, or no new keys in time. */
  broken: aborted('broken', 'The connection failed.'),
  idle: (): End => ({ reason: 'timeout', why: new FileFlowError('transfer.stalled', 'The session was idle for too long.') }),
  stalled: (): End => ({ reason: 'stalled', why: new FileFlowError('transfer.stalled', 'The client took no data for too long.') }),
  draining: (): End => ({ reason: 'drain', why: new FileFlowError('service.draining') }),
} as const

/** The gateway sends the client away: the reason is recorded as it is said. */
export const sentAway = (record: ErrorRecord): End => ({ reason: record.message, why: fromErrorRecord(record) })

/** The client closed a channel, the connection goes on. */
export const leftOpen = (): FileFlowError => new FileFlowError('transfer.aborted', 'The client closed its channel and left the file open.')

/** What a client said as it left (RFC 4253 §11.1). */
export interface Farewell {
  readonly code: number
  /** Printable characters only. */
  readonly text: string
}

/** BY_APPLICATION, and what others say who mean the same: CONNECTION_LOST (Twisted), AUTH_CANCELLED_BY_USER. */
const GOODBYES = new Set([10, 11, 13])

export const isGoodbye = ({ code }: Farewell): boolean => GOODBYES.has(code)

/** How a connection ended that the client's side closed. */
export function departure(farewell: Farewell | null, channelsOpen: boolean): End {
  if (farewell !== null) return isGoodbye(farewell) ? ENDS.goodbye() : ENDS.complained()
  return channelsOpen ? ENDS.dropped() : ENDS.goodbye()
}
