// The control plane's side of an arrival journal: whole new lines, file after file, and the files' removal.
// Must not go on behind a line that is not whole: nobody was answered for what comes after it.
import fs from 'node:fs'
import { basename, join } from 'node:path'
import { type JournalRecord, readRecord } from '../core/journal.ts'
import { isMissing } from './file-io.ts'
import { journalFile } from './journal-writer.ts'

const CHUNK = 64 * 1024
/** Of all readers: what is read is text before the next one reads. Most readings find nothing, and must cost no memory. */
const piece = Buffer.allocUnsafeSlow(CHUNK)
const NAME = /^(.+)\.(\d{6,})$/

export class JournalReader {
  readonly base: string
  #number: number
  #fd: number | null = null
  /** Up to here {@link confirm} was told. */
  #at = 0
  /** Where {@link read} stopped. */
  #ahead = 0
  /** The writer has left the file that was read last: there is more in the next one. */
  more = false
  /** Files that were read to their end, and are not removed yet. */
  readonly #done: string[] = []
  #broken = false

  /** @param first the number of the first file that is still there */
  constructor(base: string, first = 0) {
    this.base = base
    this.#number = first
  }

  /** A line was met that nobody wrote so; the journal is not read any further. */
  get broken(): boolean {
    return this.#broken
  }

  /** All whole lines that {@link confirm} was not told of, oldest first. @throws errno */
  read(): JournalRecord[] {
    const records: JournalRecord[] = []
    this.#ahead = this.#at
    if (this.#broken) return records
    // most threads have written none yet; to ask costs a tenth of what an open that fails does
    const file = journalFile(this.base, this.#number)
    if (this.#fd === null) {
      if (!fs.existsSync(file)) {
        this.more = false
        return records
      }
      this.#fd = fs.openSync(file, 'r')
    }
    // asked before the end is looked for: the writer leaves a file only when its last line is in it
    this.more = fs.existsSync(journalFile(this.base, this.#number + 1))
    this.#readLines(this.#fd, records)
    // the next file comes with the next reading
    if (this.more && records.length === 0) {
      fs.closeSync(this.#fd)
      this.#fd = null
      this.#done.push(journalFile(this.base, this.#number))
      this.#number++
      this.#at = 0
      return this.read()
    }
    return records
  }

  /** What {@link read} gave has its rows. */
  confirm(): void {
    this.#at = this.#ahead
  }

  /** Removes what was read to its end. */
  removeDone(): void {
    for (const file of this.#done.splice(0)) fs.rmSync(file, { force: true })
  }

  get hasDone(): boolean {
    return this.#done.length > 0
  }

  /** Removes all; the writer is gone. */
  remove(): void {
    if (this.#fd !== null) fs.closeSync(this.#fd)
    this.#fd = null
    this.removeDone()
    for (let n = this.#number; fs.existsSync(journalFile(this.base, n)); n++) fs.rmSync(journalFile(this.base, n))
  }

  #readLines(fd: number, records: JournalRecord[]): void {
    const pieces: Buffer[] = []
    for (let at = this.#at; ; ) {
      const n = fs.readSync(fd, piece, 0, CHUNK, at)
      at += n
      // the last one may stay where it is
      pieces.push(n < CHUNK ? piece.subarray(0, n) : Buffer.from(piece))
      if (n < CHUNK) break
    }
    const text = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
    for (let from = 0; ; ) {
      const end = text.indexOf(10, from)
      if (end === -1) return
      const record = readRecord(text.toString('utf8', from, end))
      if (record === null) {
        this.#broken = true
        return
      }
      records.push(record)
      from = end + 1
      this.#ahead = this.#at + from
    }
  }
}

/** The journals that lie in a folder, as their writers left them. */
export function journalsIn(folder: string): JournalReader[] {
  const bases = new Set<string>()
  for (const name of namesIn(folder)) {
    const base = NAME.exec(name)?.[1]
    if (base !== undefined) bases.add(join(folder, base))
  }
  return [...bases].sort().map((base) => {
    // its first files may have been taken already
    const first = Math.min(
      ...namesIn(folder).flatMap((name) => (NAME.exec(name)?.[1] === basename(base) ? [Number(NAME.exec(name)![2])] : [])),
    )
    return new JournalReader(base, first)
  })
}

export const makeJournalFolder = (folder: string): void => void fs.mkdirSync(folder, { recursive: true, mode: 0o700 })

function namesIn(folder: string): string[] {
  try {
    return fs.readdirSync(folder)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}
