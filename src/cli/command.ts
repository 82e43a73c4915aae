// What a command is, what it is given, and how its arguments are read.
// Must not know any one command, nor end the process.
import type { Readable, Writable } from 'node:stream'
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import type { LoadedConfig } from '../config/load.ts'
import { FileFlowError } from '../core/errors.ts'
import { visible } from '../core/visible-text.ts'
import { VERSION } from '../version.ts'
import type { Transport } from './api-client.ts'

export interface CommandIo {
  readonly stdin: Readable
  readonly stdout: Writable
  readonly stderr: Writable
  /** Whether stdin is a terminal that can be asked. */
  readonly isTTY: boolean
  /** The API: of the running gateway, or over the database itself. @throws FileFlowError `config.invalid`, `service.unavailable` */
  transport(configFile?: string): Promise<Transport>
  /** The bytes that a GET of the API answers. @throws FileFlowError as the API does */
  download(path: string, configFile?: string): Promise<Readable>
  /** @throws FileFlowError `config.invalid` */
  loadConfig(configFile?: string): LoadedConfig
  /** Whether the folders, keys and certificates that it names can be used. @throws FileFlowError `config.invalid` naming all that cannot */
  checkFiles(loaded: LoadedConfig): Promise<void>
}

export interface Command {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** All of `--help`, beginning with the call itself. */
  readonly usage: string
  /** @returns the exit code: 0 done, 1 failed, 2 bad usage or configuration. */
  run(args: string[], io: CommandIo): Promise<number>
}

/** The arguments make no sense; the usage is shown and the exit code is 2. */
export class UsageError extends Error {}

const COMMON = { config: { type: 'string' } } as const satisfies ParseArgsOptionsConfig

/** Options (with `--config`, which every command takes) and positionals. @throws UsageError */
export function parse<const T extends ParseArgsOptionsConfig>(
  args: string[],
  options: T,
  positionals: readonly [least: number, most: number],
) {
  let parsed: ReturnType<typeof parseArgs<{ args: string[]; options: T & typeof COMMON; strict: true; allowPositionals: true }>>
  try {
    parsed = parseArgs({ args, options: { ...options, ...COMMON }, strict: true, allowPositionals: true })
  } catch (error) {
    throw new UsageError((error as Error).message.split('. ')[0]!, { cause: error })
  }
  const [least, most] = positionals
  if (parsed.positionals.length < least) throw new UsageError('an argument is missing')
  if (parsed.positionals.length > most) throw new UsageError(`unexpected argument: ${parsed.positionals[most]}`)
  return parsed
}

/** Runs the named command; every error becomes a line on stderr and an exit code. */
export async function runCommand(commands: readonly Command[], argv: readonly string[], io: CommandIo): Promise<number> {
  const [name, ...args] = argv
  if (name === '--version' || name === '-V') {
    io.stdout.write(`fileflow ${VERSION}\n`)
    return 0
  }
  const command = commands.find((one) => one.name === name)
  if (!command) {
    const asked = name === undefined || name === '--help' || name === '-h' || name === 'help'
    const out = asked ? io.stdout : io.stderr
    if (!asked) out.write(`fileflow: there is no command ${printable(name)}\n\n`)
    out.write(overview(commands))
    return asked && name !== undefined ? 0 : 2
  }
  const end = args.indexOf('--')
  if ((end === -1 ? args : args.slice(0, end)).some((arg) => arg === '--help' || arg === '-h')) {
    io.stdout.write(`${command.usage}\n`)
    return 0
  }
  try {
    return await command.run(args, io)
  } catch (error) {
    if (error instanceof UsageError) {
      io.stderr.write(`fileflow ${command.name}: ${printable(error.message)}\n\n${command.usage}\n`)
      return 2
    }
    if (error instanceof FileFlowError) {
      io.stderr.write(`${error.message.split('\n').map(printable).join('\n')}\n`)
      return error.code === 'config.invalid' ? 2 : 1
    }
    throw error
  }
}

function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((c) => c.name.length))
  const rows = commands.map((c) => `  ${c.name.padEnd(width)}  ${c.summary}`)
  return `Usage: fileflow COMMAND [OPTIONS]\n\n${rows.join('\n')}\n\nEvery command takes --config FILE and has --help. fileflow --version prints the version.\n`
}

/** Text from outside as a terminal may show it: control and direction characters become visible escapes. */
export const printable = (text: string | undefined): string => visible(text ?? '')

/** Rows in columns as wide as they need to be, under their headings. */
export function table(headings: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [headings, ...rows.map((row) => row.map((cell) => printable(String(cell))))]
  const widths = headings.map((_, at) => Math.max(...cells.map((row) => String(row[at]).length)))
  return `${cells
    .map((row) =>
      row
        .map((cell, at) => String(cell).padEnd(widths[at]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')}\n`
}
