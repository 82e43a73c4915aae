// What a log line is. The main thread writes lines; workers post theirs to it.
// Must not write anywhere itself.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** `event` is the stable name of what happened (`session.opened`); `fields` never hold a password, key or token. */
export interface LogLine {
  readonly level: LogLevel
  readonly service: string
  readonly event: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export interface Logger {
  debug(event: string, message: string, fields?: Record<string, unknown>): void
  info(event: string, message: string, fields?: Record<string, unknown>): void
  warn(event: string, message: string, fields?: Record<string, unknown>): void
  error(event: string, message: string, fields?: Record<string, unknown>): void
}

/** A logger of one service that hands each line to `write`. */
export function createLogger(service: string, write: (line: LogLine) => void): Logger {
  const at =
    (level: LogLevel) =>
    (event: string, message: string, fields: Record<string, unknown> = {}) =>
      write({ level, service, event, message, fields })
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** The parts of an unexpected error that a log may show, its causes included. */
export function errorFields(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: String(error) }
  const chain: string[] = []
  for (let at: unknown = error.cause; at instanceof Error && chain.length < 4; at = at.cause) chain.push(at.message)
  return {
    error: error.message,
    ...('code' in error ? { code: error.code } : {}),
    stack: error.stack,
    ...(chain.length > 0 ? { causes: chain } : {}),
  }
}
