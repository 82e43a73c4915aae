// Lines of LIST and MLSD, and FTP's form of times. Pure.
// Must not read a folder.
import { ENTERING, type Permission } from '../../core/permission.ts'
import { child, type VirtualPath } from '../../core/virtual-path.ts'
import type { FileEntry } from '../../files/virtual-filesystem.ts'

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
/** As ls(1): half a Gregorian year. */
const RECENT_MS = 15_778_476_000
const TYPE_LETTER = { file: '-', directory: 'd', link: 'l', other: '-' } as const

const two = (n: number): string => String(n).padStart(2, '0')

/** One line of `ls -l` in UTC. `target` is shown for links, unless it would break the line: it may hold any byte. */
export function listLine(entry: FileEntry, now: number, target?: string): string {
  const at = new Date(entry.mtimeMs)
  const recent = entry.mtimeMs > now - RECENT_MS && entry.mtimeMs <= now + 3_600_000
  const when = recent ? `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}` : String(at.getUTCFullYear()).padStart(5)
  const day = String(at.getUTCDate()).padStart(2)
  const size = String(entry.size).padStart(12)
  const name = target === undefined || /[\r\n]/.test(target) ? entry.name : `${entry.name} -> ${target}`
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

type Letters = readonly (readonly [string, ...Permission[]])[]

/** RFC 3659 §7.5.5: letter → the permissions that its command needs. RNFR looks at the name first. */
const FILE_LETTERS: Letters = [
  ['a', 'upload', 'overwrite', 'resume'],
  ['d', 'delete'],
  ['f', 'rename', 'list'],
  ['r', 'download'],
  ['w', 'upload', 'overwrite'],
]
/** Nothing is published there yet. */
const PARTIAL_LETTERS: Letters = FILE_LETTERS.map(([letter, ...needed]) => [letter, ...needed.filter((each) => each !== 'overwrite')])
/** Devices and links that lead nowhere have no content that could be moved. */
const OTHER_LETTERS: Letters = FILE_LETTERS.filter(([letter]) => letter === 'd' || letter === 'f')
const DIRECTORY_LETTERS: Letters = [
  ['d', 'rmdir'],
  ['f', 'rename', 'list'],
  ['l', 'list'],
]
/** These are about what is in the folder. */
const INSIDE_LETTERS: Letters = [
  ['c', 'upload'],
  ['m', 'mkdir'],
  ['p', 'delete'],
]

function permissionLetters(entry: FileEntry, path: VirtualPath, may: May): string {
  const granted = (letters: Letters, at: VirtualPath): string =>
    letters.map(([letter, ...needed]) => (needed.every((permission) => may(permission, at)) ? letter : '')).join('')
  if (entry.kind === 'directory') {
    const enters = ENTERING.some((permission) => may(permission, path)) ? 'e' : ''
    return enters + granted(DIRECTORY_LETTERS, path) + granted(INSIDE_LETTERS, child(path, 'x'))
  }
  if (entry.kind !== 'file') return granted(OTHER_LETTERS, path)
  return granted(entry.partial ? PARTIAL_LETTERS : FILE_LETTERS, path)
}
