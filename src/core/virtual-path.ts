// Virtual paths: absolute, normalised, inside a user's root by construction. The only place where typed text becomes a path.
// Must not touch a disk, and knows nothing of real paths.
import { FileFlowError } from './errors.ts'

declare const virtual: unique symbol
/** `/`, or `/a/b` without empty, `.` or `..` parts. Bytes that are not UTF-8 ride as lone surrogates U+DC80–U+DCFF (PEP 383), so every name survives. */
export type VirtualPath = string & { readonly [virtual]: true }

export const ROOT = '/' as VirtualPath

const NAME_MAX = 255
/** Bytes. */
export const PATH_MAX = 4096
/** The gateway's own folder on volumes where it has no other: no virtual path may name it. */
export const RESERVED_NAME = '.fileflow'

/** Whether a volume might take the name for {@link RESERVED_NAME}: there are those that fold case, compose, ignore invisible characters or drop dots and spaces at the end. */
export function isReservedName(name: string): boolean {
  if (name === RESERVED_NAME) return true
  if (name.length < 6 || name.length > 255) return false
  const folded = name
    .normalize('NFKC')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .toLowerCase()
  return folded.startsWith(RESERVED_NAME) && /^[. ]*$/.test(folded.slice(RESERVED_NAME.length))
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** A name as bytes → text, without loss: UTF-8 where it is UTF-8, lone surrogates for the bytes that are not. */
export function nameFromBytes(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes)
  } catch {
    return escapeInvalid(bytes)
  }
}

/** One pass: whole runs of UTF-8 are decoded at once, a byte that belongs to none becomes a surrogate. Its cost does not depend on what is wrong. */
function escapeInvalid(bytes: Uint8Array): string {
  const parts: string[] = []
  let from = 0
  for (let i = 0; i < bytes.length; ) {
    const length = characterLength(bytes, i)
    if (length > 0) {
      i += length
      continue
    }
    if (i > from) parts.push(strict.decode(bytes.subarray(from, i)))
    parts.push(String.fromCharCode(0xdc00 + bytes[i]!))
    from = ++i
  }
  parts.push(strict.decode(bytes.subarray(from)))
  return parts.join('')
}

/** The length of the well-formed UTF-8 character at `i`, or 0 (Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF). */
function characterLength(bytes: Uint8Array, i: number): number {
  const first = bytes[i]!
  if (first < 0x80) return 1
  const length = first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 0
  if (length === 0 || i + length > bytes.length) return 0
  const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
  const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
  if (bytes[i + 1]! < least || bytes[i + 1]! > most) return 0
  for (let k = 2; k < length; k++) if ((bytes[i + k]! & 0xc0) !== 0x80) return 0
  return length
}

/** The exact bytes that {@link nameFromBytes} was given. */
export function nameToBytes(name: string): Buffer {
  if (name.isWellFormed()) return Buffer.from(name, 'utf8')
  const parts: Buffer[] = []
  for (const char of name) {
    const unit = char.charCodeAt(0)
    const escaped = char.length === 1 && unit >= 0xdc80 && unit <= 0xdcff
    parts.push(escaped ? Buffer.from([unit - 0xdc00]) : Buffer.from(char, 'utf8'))
  }
  return Buffer.concat(parts)
}

/** Text that is safe to store and send as UTF-8: undecodable bytes are read as Latin-1, which is what old clients meant. */
export function toDisplay(name: string): string {
  if (name.isWellFormed()) return name
  return name
    .replace(/[\udc80-\udcff]/g, (c, at: number, all: string) => {
      const before = all.charCodeAt(at - 1)
      return before >= 0xd800 && before <= 0xdbff ? c : String.fromCharCode(c.charCodeAt(0) - 0xdc00)
    })
    .toWellFormed()
}

/** A slash, or a slash and a dot, ends it (POSIX.1-2017 §4.13): what is typed so can only be a folder. */
export const meansFolder = (typed: string): boolean => /\/\.?$/.test(typed)

/**
 * What a client typed, seen from `cwd`, as a virtual path. `..` above the root stays at the root.
 * @throws FileFlowError `path.invalid` for NUL bytes, over-long names and reserved names.
 */
export function toVirtualPath(cwd: VirtualPath, typed: string): VirtualPath {
  if (typed.includes('\0')) throw new FileFlowError('path.invalid')
  const parts = typed.startsWith('/') ? [] : split(cwd)
  for (const part of typed.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..') parts.pop()
    else parts.push(part)
  }
  for (const part of parts) checkName(part)
  const path = `/${parts.join('/')}`
  if (path.length * 3 > PATH_MAX && nameToBytes(path).length > PATH_MAX) throw new FileFlowError('path.invalid', 'The path is too long.')
  return path as VirtualPath
}

function checkName(name: string): void {
  if (isReservedName(name)) throw new FileFlowError('path.invalid', 'This name is reserved.')
  if (name.length * 3 > NAME_MAX && nameToBytes(name).length > NAME_MAX) throw new FileFlowError('path.invalid', 'The name is too long.')
}

/** A single new name below `parent`. @throws FileFlowError `path.invalid` when it is not a plain name. */
export function child(parent: VirtualPath, name: string): VirtualPath {
  if (name === '' || name === '.' || name === '..' || name.includes('/')) throw new FileFlowError('path.invalid')
  return toVirtualPath(parent, name)
}

export function parentOf(path: VirtualPath): VirtualPath {
  const cut = path.lastIndexOf('/')
  return (cut <= 0 ? '/' : path.slice(0, cut)) as VirtualPath
}

/** The last part; empty for the root. */
export const baseOf = (path: VirtualPath): string => path.slice(path.lastIndexOf('/') + 1)

export const split = (path: VirtualPath): string[] => (path === '/' ? [] : path.slice(1).split('/'))

/** Whether `path` is `folder` or lies below it. */
export function isWithin(path: VirtualPath, folder: VirtualPath): boolean {
  return folder === '/' || path === folder || path.startsWith(`${folder}/`)
}
