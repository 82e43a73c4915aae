// One SFTP channel: packets in, requests through their lanes, replies out; bounded by bytes not answered and bytes not taken.
// Must not know what a request does; the table in requests.ts does.
import type { ServerChannel } from 'ssh2'
import { codeOf, ERRORS, FileFlowError, SFTP_STATUS } from '../../core/errors.ts'
import { errorFields } from '../../core/log.ts'
import type { VirtualPath } from '../../core/virtual-path.ts'
import { DirectChannel } from './direct-channel.ts'
import { leftOpen } from './ends.ts'
import { Fields } from './fields.ts'
import { type Handle, Handles, type Lane } from './handles.ts'
import { type Packet, PacketReader } from './packet-reader.ts'
import { PacketWriter } from './packet-writer.ts'
import { EXTENSIONS, REQUESTS, type Row } from './requests.ts'
import type { Session } from './session.ts'
import { MAX_DATA } from './tuning.ts'

const INIT = 1
const VERSION = 2
const STATUS = 101
/** What a request that moves no data is counted as: its reply may be a page of names. */
const FLAT_COST = 32 * 1024
/** Adjoining requests that become one system call. */
const MAX_MERGED = 64

export interface Request {
  readonly type: number
  readonly id: number
  readonly row: Row
  /** After the id, or after the handle where there is one. */
  readonly fields: Fields
  readonly handle: Handle<Request> | null
  /** READ and WRITE. */
  readonly offset: number
  readonly length: number
  readonly data: readonly Buffer[]
  readonly cost: number
  answered: boolean
  /** Set where it waits for another lane to come as far. */
  after: Promise<void> | null
}

const NO_DATA: readonly Buffer[] = []

export class SftpChannel {
  readonly session: Session
  readonly handles: Handles<Request>
  readonly out: PacketWriter
  readonly #channel: DirectChannel
  readonly #reader = new PacketReader()
  readonly #paths: Lane<Request> = { waiting: [], running: false, done: Promise.resolve() }
  readonly #socketUnsent: () => number
  #ready = false
  #outstanding = 0
  #unsent = 0
  #paused = false
  #pumping = false
  readonly #end = new AbortController()
  /** Uploads whose CLOSE is under way, by the lane it is in. */
  readonly #ending = new Map<Lane<Request>, VirtualPath>()
  readonly #barriers = new Set<() => void>()
  readonly #again = (): void => this.pump()
  #gone = false
  #ended: Promise<void> = Promise.resolve()
  #inputEnded = false

  /** @param socketUnsent bytes the connection's socket still holds */
  constructor(channel: ServerChannel, session: Session, socketUnsent: () => number) {
    this.session = session
    this.handles = new Handles(session)
    this.#channel = new DirectChannel(channel, (chunk) => {
      if (this.#over) return
      this.#reader.push(chunk)
      this.pump()
    })
    this.#socketUnsent = socketUnsent
    this.out = new PacketWriter((bytes, taken) => this.#send(bytes, taken))
    channel.on('error', () => this.close(new FileFlowError('transfer.aborted')))
    channel.on('end', () => {
      this.#inputEnded = true
      this.pump()
    })
    channel.on('close', () => this.close(leftOpen()))
  }

  /** Aborted when the channel has ended. */
  get over(): AbortSignal {
    return this.#end.signal
  }

  /** Bytes of replies that the client has not taken. */
  get unsent(): number {
    return this.#channel.unsent
  }

  /** Neither side has ended it. */
  get going(): boolean {
    return !this.#over && !this.#gone
  }

  get #over(): boolean {
    return this.#end.signal.aborted
  }

  /** Takes up as many packets as the bounds allow; called again whenever there is room. Never throws. */
  pump(): void {
    if (this.#over || this.#pumping) return
    this.#pumping = true
    try {
      while (!this.#full()) {
        const packet = this.#reader.next()
        if (packet === null) {
          this.#resume()
          if (this.#inputEnded && this.#outstanding === 0) this.#finish(0, leftOpen())
          return
        }
        this.session.touch()
        this.#take(packet)
        if (this.#over) return
      }
      this.#pause()
    } catch (error) {
      if (codeOf(error) === 'internal') this.session.log.error('sftp.failed', 'a packet could not be handled', errorFields(error))
      this.#finish(1, new FileFlowError('transfer.aborted', 'The client sent what is no packet of SFTP.', { cause: error }))
    } finally {
      this.#pumping = false
    }
  }

  status(request: Request, code: number, message: string): void {
    if (request.answered) return
    request.answered = true
    this.#status(request.id, code, message)
  }

  ok(request: Request): void {
    this.status(request, SFTP_STATUS.OK, 'Success')
  }

  fail(request: Request, error: unknown): void {
    if (request.answered) return
    const code = codeOf(error)
    if (code === 'internal') this.session.log.error('sftp.failed', `${request.row.name} failed`, errorFields(error))
    this.status(request, ERRORS[code].sftp, error instanceof FileFlowError ? error.message : ERRORS.internal.text)
  }

  /** Begins a reply of another kind than STATUS; the caller ends it. */
  reply(request: Request, type: number): PacketWriter {
    request.answered = true
    return this.out.begin(type).u32(request.id)
  }

  /** No more of this channel; open uploads keep their partials. Resolves when every open file has been ended. Idempotent, never rejects. */
  close(why: Error): Promise<void> {
    if (!this.#over) {
      // what closed the connection afterwards is not what ended these
      why = this.#gone && codeOf(why) === 'transfer.aborted' ? leftOpen() : why
      this.session.hold(-this.#outstanding - this.#unsent)
      this.#end.abort(why)
      for (const pass of this.#barriers) pass()
      this.#ended = this.#abandon(why)
    }
    return this.#ended
  }

  /** The client closed the channel: replies have nowhere to go. What is under way comes to its end; what nobody waits for an answer to is not begun. */
  gone(): void {
    this.#gone = true
    this.#keep(-this.#unsent)
    this.pump()
  }

  /** A file that was being opened while the channel ended is ended now. */
  endIfOver(): void {
    if (this.#over) void this.#abandon(this.over.reason as Error)
  }

  async #abandon(why: Error): Promise<void> {
    try {
      await this.handles.abandon(why)
    } catch (error) {
      this.session.log.error('sftp.failed', 'an open file could not be ended', errorFields(error))
    }
  }

  #finish(exitCode: number, why: Error): void {
    this.out.flush()
    void this.close(why)
    this.#channel.end(exitCode)
  }

  #full(): boolean {
    const { maxOutstanding, maxUnsent } = this.session.tuning
    if (this.#outstanding >= maxOutstanding || this.#unsent + this.#socketUnsent() >= maxUnsent) return true
    return this.session.mustWait(this.#outstanding + this.#unsent, this.#again)
  }

  #owe(bytes: number): void {
    this.#outstanding += bytes
    if (!this.#over) this.session.hold(bytes)
  }

  #keep(bytes: number): void {
    this.#unsent += bytes
    if (!this.#over) this.session.hold(bytes)
  }

  #pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#channel.pause()
  }

  #resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#channel.resume()
  }

  #send(bytes: Buffer, taken?: () => void): void {
    if (this.#gone || !this.#channel.writable) return
    this.#keep(bytes.length)
    this.#channel.write(bytes, () => {
      this.#keep(-Math.min(this.#unsent, bytes.length))
      taken?.()
      if (this.#paused) this.pump()
    })
  }

  #status(id: number, code: number, message: string): void {
    this.out.begin(STATUS).u32(id).u32(code).text(message).text('').end()
  }

  #take(packet: Packet): void {
    if (!this.#ready) {
      if (packet.type !== INIT || packet.body.length < 4) throw new FileFlowError('request.invalid')
      this.#ready = true
      const version = this.out.begin(VERSION).u32(3)
      for (const [name, data] of EXTENSIONS) version.text(name).text(data)
      version.end()
      return
    }
    if (packet.body.length < 4) throw new FileFlowError('request.invalid')
    const id = packet.body.readUInt32BE(0)
    const row = REQUESTS.get(packet.type)
    if (row === undefined) {
      this.#status(id, SFTP_STATUS.OP_UNSUPPORTED, ERRORS['operation.unsupported'].text)
      return
    }
    let request: Request
    try {
      request = this.#request(packet, id, row)
    } catch (error) {
      const code = codeOf(error)
      this.#status(id, ERRORS[code].sftp, error instanceof FileFlowError ? error.message : ERRORS.internal.text)
      return
    }
    this.#owe(request.cost)
    const lane = request.handle?.lane ?? this.#paths
    const source = row.after?.(new Fields(packet.body, 4))
    if (source) request.after = this.#passed(this.handles.get(source).lane, request)
    else if (lane === this.#paths) request.after = this.#settled(request, new Fields(packet.body, 4))
    if (row.ends && request.handle?.file.kind === 'upload') this.#ending.set(lane, request.handle.file.upload.path)
    this.#wait(lane, request)
  }

  /**
   * What is asked of names comes after every CLOSE before it: sshfs does not wait for its answer and opens the file again at once. An OPEN of another name for writing
   * need not wait: so small files are committed together.
   */
  #settled(request: Request, fields: Fields): Promise<void> | null {
    for (const lane of this.#ending.keys()) if (!lane.running) this.#ending.delete(lane)
    if (this.#ending.size === 0) return null
    if (request.row.begins) {
      const path = request.row.begins(this.session, fields)
      if (path !== null && ![...this.#ending.values()].includes(path)) return null
    }
    return Promise.all([...this.#ending.keys()].map((lane) => this.#passed(lane, request))).then(() => {})
  }

  #wait(lane: Lane<Request>, request: Request): void {
    lane.waiting.push(request)
    if (!lane.running) lane.done = this.#run(lane)
  }

  /** Resolves when all that waits in the lane now is done. Only ever waits for what came earlier, so that nothing can wait in a circle. */
  #passed(lane: Lane<Request>, request: Request): Promise<void> {
    return new Promise((resolve) => {
      const pass = (): void => {
        this.#barriers.delete(pass)
        resolve()
      }
      this.#barriers.add(pass)
      const row: Row = { name: 'barrier', lane: 'handle', moves: null, writes: false, run: pass }
      this.#wait(lane, { ...request, row, type: -1, cost: 0, answered: true })
    })
  }

  #request(packet: Packet, id: number, row: Row): Request {
    const fields = new Fields(packet.body, 4)
    const named = row.lane === 'handle' ? fields.bytes() : row.lane === 'path' ? null : row.lane(new Fields(packet.body, 4))
    const handle = named === null ? null : this.handles.get(named, row.ends ? 'path.not_found' : 'state.conflict')
    const offset = row.moves ? fields.u64() : 0
    const claimed = row.moves ? fields.u32() : 0
    const length = row.moves === 'out' ? Math.min(claimed, MAX_DATA) : claimed
    if (!Number.isSafeInteger(offset + length)) throw new FileFlowError('request.invalid', 'The offset is too large.')
    const cost = row.moves ? length + 256 : FLAT_COST
    return { type: packet.type, id, row, fields, handle, offset, length, data: packet.data ?? NO_DATA, cost, answered: false, after: null }
  }

  /** Works off a lane, one request or one run of adjoining ones at a time. Never rejects. */
  async #run(lane: Lane<Request>): Promise<void> {
    lane.running = true
    while (lane.waiting.length > 0 && !this.#over) {
      const taken = this.#adjoining(lane.waiting)
      try {
        if (taken[0]!.after) await taken[0]!.after
        await taken[0]!.row.run(this, taken)
      } catch (error) {
        for (const request of taken) this.fail(request, error)
      }
      for (const request of taken) this.#owe(-request.cost)
      this.session.touch()
      if (this.#paused || this.#inputEnded) this.pump()
    }
    lane.running = false
  }

  #adjoining(waiting: Request[]): Request[] {
    const first = waiting[0]!
    let count = 1
    if (first.row.moves) {
      let bytes = first.length
      for (let next = waiting[count]; next?.type === first.type && count < MAX_MERGED; next = waiting[++count]) {
        const before = waiting[count - 1]!
        bytes += next.length
        if (next.offset !== before.offset + before.length || bytes > this.session.tuning.maxBatch) break
      }
    }
    return waiting.splice(0, count)
  }
}
