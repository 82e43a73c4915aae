// What an SFTP server says, looked at before ssh2 reads it: whole packets of a length that can be, one to each request, and of a kind that answers it.
// Must not know what is asked for; sftp.ts does. All that it changes inside ssh2 is here.
import type { SFTPWrapper } from 'ssh2'

/** Types of packets (draft-ietf-secsh-filexfer-02 §3) that answer when all is well; a STATUS that says no may come to any. */
const ANSWERS = { status: 101, handle: 102, data: 103, name: 104, attrs: 105, extended: 201 } as const
export type AnswerKind = keyof typeof ANSWERS

const NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(ANSWERS).map(([name, type]) => [type, name.toUpperCase()]),
)
const OK = 0
/** ssh2's own bound. */
const LONGEST = 256 * 1024
/** Length, type, id, and the code of a STATUS. */
const HEAD = 13

interface Request {
  /** Type of the packet that is waited for; 0 once it came. */
  awaits?: number
}

interface Insides {
  push(data: Buffer | null): unknown
  _writeReqid: number
  readonly _requests: Record<number, Request | undefined>
}

const insideOf = (sftp: SFTPWrapper): Insides => sftp as unknown as Insides

/** ssh2 makes an Error of each STATUS that says no, and a name that is free is asked for with each file; its stack would cost more than the answer, and tells only of ssh2. */
function withoutStacks<T>(work: () => T): T {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return work()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/** Sends what `start` sends, and notes what answers it. */
export function asking(sftp: SFTPWrapper, kind: AnswerKind, start: () => void): void {
  const inside = insideOf(sftp)
  const before = inside._writeReqid
  start()
  const request = before === inside._writeReqid ? undefined : inside._requests[inside._writeReqid]
  if (request) request.awaits = ANSWERS[kind]
}

/**
 * ssh2 takes whatever packet has a request's number for the answer to it: a HANDLE in the place of a STATUS would say that a file was renamed. And it reads
 * lengths as signed numbers. So the first packet that cannot be is the last one that is looked at.
 * @param broken what is wrong; nothing is handed on any more
 */
export function guardAnswers(sftp: SFTPWrapper, broken: (what: string) => void): void {
  const inside = insideOf(sftp)
  const push = inside.push.bind(sftp)
  const head = Buffer.alloc(HEAD)
  /** Bytes of the head that came, in this piece and those before it. */
  let have = 0
  /** Bytes of the packet that are still to come. */
  let rest = 0
  let over = false

  function faultIn(data: Buffer): string | null {
    for (let at = 0; at < data.length; ) {
      if (rest > 0) {
        const skipped = Math.min(rest, data.length - at)
        rest -= skipped
        at += skipped
        continue
      }
      const length = have < 4 ? null : head.readUInt32BE(0)
      const wanted = length === null ? 4 : Math.min(HEAD, 4 + length)
      const taken = Math.min(wanted - have, data.length - at)
      data.copy(head, have, at, at + taken)
      have += taken
      at += taken
      if (have < wanted) return null
      if (length === null) {
        const told = head.readUInt32BE(0)
        if (told < 5 || told > LONGEST) return `a packet of ${told} bytes`
        continue
      }
      const fault = judge(length)
      if (fault) return fault
      rest = length + 4 - have
      have = 0
    }
    return null
  }

  function judge(length: number): string | null {
    const type = head[4]!
    const request = inside._requests[head.readUInt32BE(5)]
    if (!request?.awaits) return `a packet (type ${type}) that answers nothing`
    const { awaits } = request
    request.awaits = 0
    const isNo = type === ANSWERS.status && length >= 9 && head.readUInt32BE(9) !== OK
    // what comes to an extension of its own is for whoever asked to see
    const isYes = awaits === ANSWERS.extended || (type === awaits && (type !== ANSWERS.status || length >= 9))
    return isNo || isYes ? null : `${NAMES[type] ?? `a packet of type ${type}`} where ${NAMES[awaits]} is the answer`
  }

  inside.push = (data) => {
    if (over) return true
    const fault = data === null ? null : faultIn(data)
    if (fault === null) return withoutStacks(() => push(data))
    over = true
    broken(fault)
    return true
  }
}
