// The arrival journal: what a listener worker writes down of a finished upload before it publishes it, a line each, with a checksum.
// Must not touch a disk; files/ writes and reads it, intake/ makes rows of it.
import { crc32 } from 'node:zlib'
import type { Origin, Verdict } from './transfer.ts'
import type { VirtualPath } from './virtual-path.ts'

/** From here on the upload is kept, whatever is killed next: all that its row needs. */
export interface TakenUpload {
  readonly kind: 'taken'
  readonly id: string
  readonly sessionId: string
  readonly username: string
  readonly partner: string
  readonly protocol: Origin
  readonly address: string
  readonly path: VirtualPath
  /** Bytes that were there before (a resumed upload). */
  readonly offset: number
  readonly startedAt: number
  readonly at: number
  readonly size: number
  readonly sha256: string
  /** Bytes of the published file that this one replaces; null when the name was free. */
  readonly replaced: number | null
  /** Real paths, as core/virtual-path reads bytes. */
  readonly staging: string
  readonly final: string
  readonly spool: string
  readonly verdict: Verdict
  /** Some rule may want it: it is linked into the spool, and the rules are to be asked. */
  readonly owes: boolean
  /** The transfer was announced before: its row is there, or on its way. */
  readonly begun: boolean
}

/** Its name holds the file. */
export interface PublishedUpload {
  readonly kind: 'published'
  readonly id: string
  readonly at: number
  /** Length of what stood there at that moment; null for nothing. */
  readonly replaced: number | null
}

export type JournalRecord = TakenUpload | PublishedUpload

const CHECKSUM = 8
const checksum = (text: string): string => crc32(text).toString(16).padStart(CHECKSUM, '0')

/** One line, its end included. */
export function writeRecord(record: JournalRecord): string {
  const text = JSON.stringify(record)
  return `${checksum(text)} ${text}\n`
}

/** A line without its end; null when it is not what was written. */
export function readRecord(line: string): JournalRecord | null {
  const text = line.slice(CHECKSUM + 1)
  return line[CHECKSUM] === ' ' && line.slice(0, CHECKSUM) === checksum(text) ? (JSON.parse(text) as JournalRecord) : null
}
