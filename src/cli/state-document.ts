// A state file read from disk: its content, or every fault with file, line and key.
// Must not apply it.
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'
import { FileFlowError } from '../core/errors.ts'
import { type StateFile, stateFileChecker } from '../core/state-file.ts'

const LONGEST = 32 * 2 ** 20
const MOST_FAULTS = 50

/** @throws FileFlowError `config.invalid`, a line for each fault: `first.yaml:12:5 users.0.home: what is wrong` */
export function readStateFile(file: string): StateFile {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new FileFlowError('config.invalid', `${file}: cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`, {
      cause: error,
    })
  }
  if (text.length > LONGEST) throw new FileFlowError('config.invalid', `${file}: is larger than 32 MiB`)
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
  if (document.errors.length > 0) {
    fail(document.errors.map((error) => `${at(error.pos[0])} ${error.message.split('\n')[0]}`))
  }
  const value: unknown = toPlain(document, file) ?? {}
  const faults = stateFileChecker.faults(value)
  if (faults.length > 0) {
    fail(
      faults.map(
        ({ pointer, message }) =>
          `${at(offsetOf(document.contents, pointer))} ${pointer.slice(1).replaceAll('/', '.') || '(file)'}: ${message}`,
      ),
    )
  }
  return withNamedFiles(value as StateFile, file, (pointer) => at(offsetOf(document.contents, pointer)))
}

/** Certificates and keys of destinations that are given as the name of a file, seen from the state file's folder, are read from it. */
function withNamedFiles(state: StateFile, file: string, place: (pointer: string) => string): StateFile {
  const faults: string[] = []
  const read = (value: string | null | undefined, index: number, key: string): string | null | undefined => {
    if (typeof value !== 'string' || value === '' || value.includes('\n') || value.includes('-----BEGIN')) return value
    try {
      return readFileSync(resolve(dirname(file), value), 'utf8')
    } catch (error) {
      const name = `destinations.${index}.${key}`
      faults.push(
        `${place(`/${name.replaceAll('.', '/')}`)} ${name}: PEM text, or a file: ${value} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`,
      )
      return value
    }
  }
  const destinations = state.destinations?.map((destination, index) => {
    const { tls, private_key } = destination
    return {
      ...destination,
      ...(private_key === undefined ? {} : { private_key: read(private_key, index, 'private_key') }),
      ...(tls?.ca === undefined ? {} : { tls: { ...tls, ca: read(tls.ca, index, 'tls.ca') } }),
    } as typeof destination
  })
  if (faults.length > 0) fail(faults)
  return destinations === undefined ? state : { ...state, destinations }
}

function toPlain(document: ReturnType<typeof parseDocument>, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 1000 })
  } catch (error) {
    throw new FileFlowError('config.invalid', `${file}: ${(error as Error).message}`, { cause: error })
  }
}

function fail(faults: string[]): never {
  const more = faults.length > MOST_FAULTS ? [`… and ${faults.length - MOST_FAULTS} more`] : []
  throw new FileFlowError('config.invalid', [...faults.slice(0, MOST_FAULTS), ...more].join('\n'))
}

/** Where the pointer's key stands; of a missing key, where its parent does. */
function offsetOf(root: unknown, pointer: string): number {
  let node = root
  let offset = (root as Node | null)?.range?.[0] ?? 0
  for (const part of pointer.split('/').slice(1)) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === part)
      if (!pair) break
      offset = (pair.key as Node).range?.[0] ?? offset
      node = pair.value
    } else if (isSeq(node)) {
      node = node.items[Number(part)]
      offset = (node as Node | undefined)?.range?.[0] ?? offset
    } else break
  }
  return offset
}
