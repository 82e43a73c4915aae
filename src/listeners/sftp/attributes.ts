// ATTRS of draft-ietf-secsh-filexfer-02 §5, and the long name of a directory entry as `ls -l` prints it.
// Must not decide which attributes may be changed.
import type { Attributes, FileEntry, FileKind } from '../../files/virtual-filesystem.ts'
import type { Fields } from './fields.ts'
import type { PacketWriter } from './packet-writer.ts'

const SIZE = 1
const UIDGID = 2
const PERMISSIONS = 4
const TIMES = 8
const EXTENDED = 0x80000000
const TYPE_BITS = { file: 0o100000, directory: 0o040000, link: 0o120000, other: 0 } as const satisfies Record<FileKind, number>
const TYPE_LETTER = { file: '-', directory: 'd', link: 'l', other: '?' } as const satisfies Record<FileKind, string>
const MAX_EXTENDED = 64

export interface SentAttributes extends Attributes {
  /** Virtual files have none that could change. */
  readonly owner?: { readonly uid: number; readonly gid: number }
}

/** @throws FileFlowError `request.invalid` */
export function readAttributes(fields: Fields): SentAttributes {
  const flags = fields.u32()
  const size = flags & SIZE ? fields.u64() : undefined
  const owner = flags & UIDGID ? { uid: fields.u32(), gid: fields.u32() } : undefined
  const mode = flags & PERMISSIONS ? fields.u32() & 0o7777 : undefined
  const atime = flags & TIMES ? fields.u32() : undefined
  const mtime = flags & TIMES ? fields.u32() : undefined
  if (flags & EXTENDED) {
    for (let count = Math.min(fields.u32(), MAX_EXTENDED); count > 0; count--) {
      fields.bytes()
      fields.bytes()
    }
  }
  return {
    ...(owner === undefined ? {} : { owner }),
    ...(size === undefined ? {} : { size }),
    ...(mode === undefined ? {} : { mode }),
    ...(atime === undefined ? {} : { atimeMs: atime * 1000 }),
    ...(mtime === undefined ? {} : { mtimeMs: mtime * 1000 }),
  }
}

const seconds = (ms: number): number => Math.max(0, Math.min(0xffffffff, Math.floor(ms / 1000)))

export function writeAttributes(writer: PacketWriter, entry: FileEntry): void {
  writer
    .u32(SIZE | UIDGID | PERMISSIONS | TIMES)
    .u64(entry.size)
    .u32(entry.uid)
    .u32(entry.gid)
    .u32(TYPE_BITS[entry.kind] | entry.mode)
    .u32(seconds(entry.atimeMs))
    .u32(seconds(entry.mtimeMs))
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const HALF_A_YEAR = 182 * 86400e3

/** `-rw-r--r--    1 1000     1000          512 Jan  1 12:00 name`; old files show the year. Times are UTC. */
export function longName(entry: FileEntry, now: number): string {
  const letters = [...'rwxrwxrwx'].map((letter, i) => (entry.mode & (0o400 >> i) ? letter : '-'))
  if (entry.mode & 0o4000) letters[2] = letters[2] === 'x' ? 's' : 'S'
  if (entry.mode & 0o2000) letters[5] = letters[5] === 'x' ? 's' : 'S'
  if (entry.mode & 0o1000) letters[8] = letters[8] === 'x' ? 't' : 'T'
  const at = new Date(entry.mtimeMs)
  const two = (n: number): string => String(n).padStart(2, '0')
  const recent = Math.abs(now - entry.mtimeMs) < HALF_A_YEAR
  const clock = recent ? `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}` : ` ${at.getUTCFullYear()}`
  const date = `${MONTHS[at.getUTCMonth()]} ${String(at.getUTCDate()).padStart(2)} ${clock}`
  const owner = `${String(entry.uid).padEnd(8)} ${String(entry.gid).padEnd(8)}`
  return `${TYPE_LETTER[entry.kind]}${letters.join('')} ${String(entry.links).padStart(4)} ${owner} ${String(entry.size).padStart(12)} ${date} ${entry.name}`
}
