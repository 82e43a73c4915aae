// Where log lines go: stdout, the rotated files of data_dir/logs, the operator's own file, the ring for the log page, and listeners.
// Must not throw into the code that logs, whatever the line holds and whatever the disk does.
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { pino } from 'pino'
import { type Clock, systemClock } from '../core/clock.ts'
import { errorFields, type LogLevel, type LogLine } from '../core/log.ts'
import type { LogView } from '../core/views.ts'
import { finishedLine, readableLine } from './line.ts'
import { createLogFile, type LogFile } from './log-file.ts'
import { createRecentLines, LEVELS, type RecentFilter } from './recent-lines.ts'

export interface LogOutputOptions {
  /** `log` of the configuration; `file` is absolute. */
  readonly log: { readonly level: LogLevel; readonly file: string | null }
  /** `retention.logs`, ms. */
  readonly keepMs: number
  /** Absolute. */
  readonly dataDir: string
  readonly stdout: Writable
  /** Readable lines instead of JSON. */
  readonly isTTY: boolean
  readonly clock?: Clock
  /** For tests: when the file in data_dir/logs is turned. */
  readonly maxFileBytes?: number
}

export interface LogOutput {
  /** Never throws. */
  write(line: LogLine): void
  /** Newest first, out of the last 5,000. */
  recent(filter: RecentFilter): LogView[]
  /** Every kept line as JSON lines, oldest first. */
  download(): AsyncIterable<Uint8Array>
  /** Told every written line. @returns the end of it. */
  onLine(listener: (line: LogView) => void): () => void
  /** New level and retention from a reload. */
  setLevel(level: LogLevel): void
  setRetention(ms: number): void
  /** Files are opened anew with the next line: for a reload after an outside rotation. */
  reopen(): void
  /** Resolves when all written lines are in their files. */
  close(): Promise<void>
}

const RING = 5000
/** Supervisors wait for it, whatever the level. */
const ALWAYS: ReadonlySet<string> = new Set(['ready'])
const FILE_BYTES = 20 * 1024 * 1024
const FILE_AGE = 86_400_000
/** A reader of stdout that stands still may cost this much memory, then lines. */
const STDOUT_BUFFER = 8 * 1024 * 1024

export function createLogOutput(options: LogOutputOptions): LogOutput {
  const { log, stdout, isTTY, clock = systemClock } = options
  const recent = createRecentLines(RING)
  const listeners = new Set<(line: LogView) => void>()
  let level = log.level
  let keepMs = options.keepMs
  let stdoutOpen = true
  let text = ''
  // pino makes the JSON; its destination is here, because one text goes to several places
  const json = pino(
    { level: 'debug', base: null, timestamp: false, formatters: { level: (label) => ({ level: label }) } },
    {
      write(made: string) {
        text = made
      },
    },
  )
  stdout.on('error', () => {
    // nobody reads stdout any more; the files go on
    stdoutOpen = false
  })

  const print = (made: string): void => {
    if (stdoutOpen && stdout.writableLength < STDOUT_BUFFER) stdout.write(made)
  }
  const trouble = (path: string) => ({
    onTrouble: (error: unknown) => write(own('error', 'log.failed', 'the log file cannot be written', { ...errorFields(error), path })),
    onRecovered: (lost: number) => write(own('warn', 'log.recovered', 'the log file is written again; lines were lost', { path, lost })),
  })
  const kept = join(options.dataDir, 'logs', 'fileflow.log')
  const rotation = { maxBytes: options.maxFileBytes ?? FILE_BYTES, maxAgeMs: FILE_AGE, keepMs: () => keepMs }
  const main = createLogFile({ path: kept, clock, rotation, ...trouble(kept) })
  const extra = log.file === null ? undefined : createLogFile({ path: log.file, clock, ...trouble(log.file) })
  const files: readonly LogFile[] = extra ? [main, extra] : [main]

  function write(line: LogLine): void {
    if (LEVELS.indexOf(line.level) < LEVELS.indexOf(level) && !ALWAYS.has(line.event)) return
    let view: LogView
    try {
      view = finishedLine(line, clock.now())
      const { level: _, message, ...rest } = view
      json[line.level](rest, message)
    } catch (error) {
      // a field with a getter that throws, for example: say so instead of the line
      if (line.event !== 'log.unwritable')
        write(own('error', 'log.unwritable', `a line of ${line.service} cannot be written`, errorFields(error)))
      return
    }
    recent.add(view)
    print(isTTY ? readableLine(view) : text)
    for (const file of files) file.write(text)
    for (const listener of listeners) tell(listener, view)
  }

  function tell(listener: (line: LogView) => void, view: LogView): void {
    try {
      listener(view)
    } catch (error) {
      listeners.delete(listener)
      write(own('error', 'log.listener_failed', 'a listener of the log failed and is told no more', errorFields(error)))
    }
  }

  return {
    write,
    recent: (filter) => recent.find(filter),
    async *download() {
      for (const path of await main.files()) yield* readIfThere(path)
    },
    onLine(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    setLevel(next) {
      level = next
    },
    setRetention(ms) {
      keepMs = ms
    },
    reopen() {
      for (const file of files) file.reopen()
    },
    async close() {
      await Promise.all(files.map((file) => file.close()))
    },
  }
}

const own = (level: LogLevel, event: string, message: string, fields: Record<string, unknown>): LogLine => ({
  level,
  service: 'log',
  event,
  message,
  fields,
})

/** A file may have been removed by age since it was listed. */
async function* readIfThere(path: string): AsyncIterable<Uint8Array> {
  try {
    yield* createReadStream(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
