// A worker's arrival journal: lines appended to a file of its own, then to the next one; the control plane reads them and takes the files away.
// Must not answer for a line that is not whole in the file, nor (where power counts) on the disk.
import fs from 'node:fs'
import { dirname } from 'node:path'
import { type JournalRecord, writeRecord } from '../core/journal.ts'
import { fromErrno, syncFolder, translated } from './file-io.ts'

/** A file this long is left for the next one. */
export const JOURNAL_FILE_BYTES = 4 * 2 ** 20

/** The files of one journal, in their order. */
export const journalFile = (base: string, number: number): string => `${base}.${String(number).padStart(6, '0')}`

interface OpenFile {
  readonly fd: number
  bytes: number
  /** Its name would survive a power loss. */
  named: boolean
  /** A sync under way; never rejects. */
  running: Promise<void>
  /** The sync that begins after it, for all that wait. */
  next: Promise<void> | null
}

export class JournalWriter {
  readonly #base: string
  readonly #fileBytes: number
  #file: OpenFile | null = null
  #number = 0

  constructor(base: string, fileBytes = JOURNAL_FILE_BYTES) {
    this.#base = base
    this.#fileBytes = fileBytes
  }

  /**
   * When it returns, the line is safe from the end of the process.
   * @param durable resolves when a power loss cannot take the line back either
   * @throws FileFlowError `disk.full`, `storage.failed`
   */
  append(record: JournalRecord, durable: boolean): Promise<void> | undefined {
    if (this.#file && this.#file.bytes >= this.#fileBytes) this.#leave(this.#file)
    return translated(() => {
      this.#file ??= this.#make()
      const file = this.#file
      const line = Buffer.from(writeRecord(record))
      // what was written of a line that failed is written over
      let done = 0
      while (done < line.length) done += fs.writeSync(file.fd, line, done, line.length - done, file.bytes + done)
      file.bytes += line.length
      return durable ? this.#synced(file) : undefined
    })
  }

  #make(): OpenFile {
    const fd = fs.openSync(journalFile(this.#base, this.#number), 'wx', 0o600)
    this.#number++
    return { fd, bytes: 0, named: false, running: Promise.resolve(), next: null }
  }

  /** Lines of one turn of the event loop, and all that come while another sync runs, share one. */
  #synced(file: OpenFile): Promise<void> {
    file.next ??= file.running.then(async () => {
      file.next = null
      const syncing = this.#sync(file)
      file.running = syncing.catch(() => {})
      return syncing
    })
    return file.next
  }

  async #sync(file: OpenFile): Promise<void> {
    try {
      await datasync(file.fd)
      if (!file.named) await syncFolder(dirname(this.#base))
      file.named = true
    } catch (error) {
      // the kernel tells of lost pages once: the next sync of this file would lie
      if (this.#file === file) this.#leave(file)
      throw error
    }
  }

  #leave(file: OpenFile): void {
    this.#file = null
    const close = (): void => fs.closeSync(file.fd)
    // the last one that was asked for, or the one that runs
    ;(file.next ?? Promise.resolve())
      .catch(() => {})
      .then(() => file.running)
      .then(close)
  }
}

const datasync = (fd: number): Promise<void> =>
  new Promise((resolve, reject) => fs.fdatasync(fd, (error) => (error ? reject(fromErrno(error)) : resolve())))
