// Lines of LIST and MLSD, and FTP's form of times. Pure.
// Must not read a folder.
import type { Permission } from '../../core/permission.ts'
import { child, type VirtualPath } from '../../core/virtual-path.ts'
import type { FileEntry } from '../../files/virtual-filesystem.ts'

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
/** As ls(1): half a Gregorian year. */
const RECENT_MS = 15_778_476_000
const TYPE_LETTER = { file: '-', directory: 'd', link: 'l', other: '-' } as const

const two = (n: number): string => String(n).padStart(2, '0')

/** One line of `ls -l` in UTC. `target` is shown for links. */
export function listLine(entry: FileEntry, now: number, target?: string): string {
  const at = new Date(entry.mtimeMs)
  const recent = entry.mtimeMs > now - RECENT_MS && entry.mtimeMs <= now + 3_600_000
  const when = recent ? `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}` : String(at.getUTCFullYear()).padStart(5)
  const day = String(at.getUTCDate()).padStart(2)
  const size = String(entry.size).padStart(12)
  const name = target === undefined ? entry.name : `${entry.name} -> ${target}`
  return `${TYPE_LETTER[entry.kind]}${modeText(entry.mode)} ${String(entry.links).padStart(4)} ftp      ftp      ${size} ${MONTHS[at.getUTCMonth()]} ${day} ${when} ${name}`
}

function modeText(mode: number): string {
  const letters = [...'rwxrwxrwx'].map((letter, i) => (mode & (0o400 >> i) ? letter : '-'))
  if (mode & 0o4000) letters[2] = letters[2] === 'x' ? 's' : 'S'
  if (mode & 0o2000) letters[5] = letters[5] === 'x' ? 's' : 'S'
  if (mode & 0o1000) letters[8] = letters[8] === 'x' ? 't' : 'T'
  return letters.join('')
}

/** `YYYYMMDDhhmmss`, UTC (RFC 3659 §2.3). */
export const toFtpTime = (ms: number): string => new Date(ms).toISOString().replace(/[-:T]/g, '').slice(0, 14)

/** `YYYYMMDDhhmm[ss[.sss]]` as milliseconds; null when it is no such time, nor a day that the calendar has. */
export function fromFtpTime(text: string): number | null {
  const match = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})?(?:\.\d+)?$/.exec(text)
  if (match === null) return null
  const [, year, month, day, hour, minute, second = '00'] = match
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  // Date.parse makes 1 March of 30 February
  return Number.isNaN(ms) || new Date(ms).getUTCDate() !== Number(day) ? null : ms
}

export type May = (permission: Permission, path: VirtualPath) => boolean

/** The facts of one entry with the blank before its name (RFC 3659 §7.2). `path` is where the entry is. */
export function factsOf(entry: FileEntry, path: VirtualPath, wanted: readonly string[], may: May): string {
  const values: Record<string, () => string | null> = {
    type: () => ({ file: 'file', directory: 'dir', link: 'OS.unix=slink', other: 'OS.unix=other' })[entry.kind],
    size: () => (entry.kind === 'file' ? String(entry.size) : null),
    modify: () => toFtpTime(entry.mtimeMs),
    perm: () => permissionLetters(entry, path, may),
    unique: () => entry.unique,
    'unix.mode': () => `0${(entry.mode & 0o7777).toString(8).padStart(3, '0')}`,
  }
  const facts = wanted.map((fact) => {
    const value = values[fact]?.() ?? null
    return value === null ? '' : `${fact === 'unix.mode' ? 'UNIX.mode' : fact}=${value};`
  })
  return `${facts.join('')} `
}

/** RFC 3659 §7.5.5: letter → the permission that grants it. */
const FILE_LETTERS = [
  ['a', 'resume'],
  ['d', 'delete'],
  ['f', 'rename'],
  ['r', 'download'],
  ['w', 'overwrite'],
] as const satisfies readonly (readonly [string, Permission])[]
const DIRECTORY_LETTERS = [
  ['d', 'rmdir'],
  ['e', 'list'],
  ['f', 'rename'],
  ['l', 'list'],
] as const satisfies readonly (readonly [string, Permission])[]
/** These are about what is in the folder. */
const INSIDE_LETTERS = [
  ['c', 'upload'],
  ['m', 'mkdir'],
  ['p', 'delete'],
] as const satisfies readonly (readonly [string, Permission])[]

function permissionLetters(entry: FileEntry, path: VirtualPath, may: May): string {
  if (entry.kind !== 'directory') return FILE_LETTERS.flatMap(([letter, permission]) => (may(permission, path) ? letter : [])).join('')
  const inside = child(path, 'x')
  return [
    ...DIRECTORY_LETTERS.flatMap(([letter, permission]) => (may(permission, path) ? letter : [])),
    ...INSIDE_LETTERS.flatMap(([letter, permission]) => (may(permission, inside) ? letter : [])),
  ].join('')
}
