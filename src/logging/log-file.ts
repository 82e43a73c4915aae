// One log file, written behind the program's back: a bounded buffer, rotation by size and age, removal of old files.
// Must not block or crash the control thread: a full disk costs lines, which are counted, and nothing else.
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, extname, join } from 'node:path'
import type { Clock } from '../core/clock.ts'

export interface LogFileOptions {
  readonly path: string
  readonly clock: Clock
  /** Absent: the file only grows (the operator's own logrotate turns it). */
  readonly rotation?: { readonly maxBytes: number; readonly maxAgeMs: number; readonly keepMs: () => number }
  readonly maxBufferedBytes?: number
  /** Told once when writing begins to fail, and how many lines were lost once it works again. */
  readonly onTrouble: (error: unknown) => void
  readonly onRecovered: (lost: number) => void
}

export interface LogFile {
  write(text: string): void
  /** Resolves when all that was written so far is in the file or lost. Never rejects. */
  flush(): Promise<void>
  /** The file is opened anew with the next line (after an outside rotation). */
  reopen(): void
  /** Its files, oldest first, the present one last. */
  files(): Promise<string[]>
  /** As flush; later lines are dropped. */
  close(): Promise<void>
}

const BUFFER = 8 * 1024 * 1024

export function createLogFile(options: LogFileOptions): LogFile {
  const { path, clock, rotation } = options
  const folder = dirname(path)
  const extension = extname(path)
  const stem = basename(path, extension)
  const most = options.maxBufferedBytes ?? BUFFER
  let waiting: string[] = []
  let waitingBytes = 0
  let running: Promise<void> | undefined
  let handle: FileHandle | undefined
  let size = 0
  let born = 0
  let lastStamp = 0
  let lost = 0
  let failing = false
  let stale = false
  let closed = false

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      const lines = waiting
      waiting = []
      waitingBytes = 0
      try {
        // after a failure the file may end in half a line
        await append(Buffer.from(`${failing ? '\n' : ''}${lines.join('')}`))
        if (lost > 0) options.onRecovered(lost)
        lost = 0
        failing = false
      } catch (error) {
        lost += lines.length
        await drop()
        if (!failing) options.onTrouble(error)
        failing = true
      }
    }
    running = undefined
  }

  async function append(bytes: Buffer): Promise<void> {
    if (stale) await drop()
    if (!handle) await openFile()
    if (rotation && size > 0 && (size + bytes.length > rotation.maxBytes || clock.now() - born > rotation.maxAgeMs)) await turn()
    await handle!.appendFile(bytes)
    size += bytes.length
  }

  async function openFile(): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o750 })
    handle = await open(path, 'a', 0o640)
    const facts = await handle.stat()
    size = facts.size
    born = size === 0 ? clock.now() : facts.birthtimeMs || facts.mtimeMs
    await removeOld()
  }

  /** The present file gets a name that sorts by time, and a new one begins. */
  async function turn(): Promise<void> {
    await drop()
    lastStamp = Math.max(clock.now(), lastStamp + 1)
    await rename(path, join(folder, `${stem}-${new Date(lastStamp).toISOString().replaceAll(':', '')}${extension}`))
    await openFile()
  }

  async function drop(): Promise<void> {
    stale = false
    const old = handle
    handle = undefined
    try {
      await old?.close()
    } catch {
      // the descriptor is gone either way, and the write that failed before has been told
    }
  }

  const turned = async (): Promise<string[]> => {
    const names = await readdir(folder)
    return names.filter((name) => name.startsWith(`${stem}-`) && name.endsWith(extension)).sort()
  }

  async function removeOld(): Promise<void> {
    if (!rotation) return
    const before = clock.now() - rotation.keepMs()
    try {
      for (const name of await turned()) {
        const file = join(folder, name)
        if ((await stat(file)).mtimeMs < before) await unlink(file)
      }
    } catch (error) {
      // an old file that stays must not cost a new line
      options.onTrouble(error)
    }
  }

  const flush = async (): Promise<void> => {
    while (running) await running
  }

  return {
    write(text) {
      if (closed || waitingBytes + text.length > most) {
        lost++
        return
      }
      waiting.push(text)
      waitingBytes += text.length
      running ??= Promise.resolve().then(drain)
    },
    flush,
    reopen() {
      stale = true
    },
    async files() {
      await flush()
      try {
        return [...(await turned()).map((name) => join(folder, name)), path]
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
        throw error
      }
    },
    async close() {
      closed = true
      await flush()
      await drop()
    },
  }
}
