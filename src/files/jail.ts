// The jail: a virtual path → an open folder and a name in it, walked one part at a time through folder handles, so that no link, rename or race leads outside.
// Must not use a path string twice: what was checked is the handle that is used (openat semantics through /proc/self/fd).
import fs from 'node:fs'
import { resolve as resolvePath } from 'node:path'
import { FileFlowError } from '../core/errors.ts'
import type { Mount } from '../core/user.ts'
import {
  baseOf,
  isReservedName,
  isWithin,
  nameFromBytes,
  nameToBytes,
  PATH_MAX,
  parentOf,
  ROOT,
  split,
  type VirtualPath,
} from '../core/virtual-path.ts'
import { fromErrno, translated } from './file-io.ts'
import { KeptFolder } from './kept-folder.ts'
import { under } from './under.ts'

/** Linux open(2): the handle only names the folder. Not in fs.constants; the same value on x86-64 and arm64. */
export const O_PATH = 0x200000
const { O_DIRECTORY, O_NOFOLLOW } = fs.constants
/** As the kernel's own limit. */
const MOST_LINKS = 40

export const hasProc = fs.existsSync('/proc/self/fd')

/** An open folder. Without /proc it is a path whose parts were seen to be no links, and links are refused altogether. */
export class Folder implements Disposable {
  readonly fd: number | null
  readonly #path: string
  #volume: string | undefined
  #holders = 1
  #writable = false

  constructor(fd: number | null, path: string) {
    this.fd = fd
    this.#path = path
  }

  /** What to hand to a system call for the name inside this folder; `null` is the folder itself. */
  at(name: Buffer | null): Buffer | string {
    return name === null ? `${this.#path}/.` : Buffer.concat([Buffer.from(`${this.#path}/`), name])
  }

  /** Where it is now, for rows that outlive this process. */
  realPath(): Buffer {
    return this.fd === null ? Buffer.from(this.#path) : fs.readlinkSync(this.#path, { encoding: 'buffer' })
  }

  /**
   * What files can be renamed and linked within: the mount, not the device alone. Two mounts of one disk (bind mounts, Docker volumes) refuse each other's
   * names, and so do two devices in one mount (btrfs subvolumes).
   */
  volume(): string {
    this.#volume ??= this.#readVolume()
    return this.#volume
  }

  #readVolume(): string {
    const { dev } = fs.statSync(`${this.#path}/.`, { bigint: true })
    const mount = this.fd === null ? null : /^mnt_id:\s*(\d+)/m.exec(fs.readFileSync(`/proc/self/fdinfo/${this.fd}`, 'utf8'))
    return `${dev}:${mount?.[1] ?? ''}`
  }

  /** @throws errno unless names can be made in it */
  mustBeWritable(): void {
    if (this.#writable) return
    fs.accessSync(this.at(null), fs.constants.W_OK)
    this.#writable = true
  }

  /** One more who will dispose of it. */
  share(): this {
    this.#holders++
    return this
  }

  [Symbol.dispose](): void {
    if (--this.#holders === 0 && this.fd !== null) fs.closeSync(this.fd)
  }
}

/** @throws errno, ENOTDIR for a link unless `follow` */
export function openFolder(path: Buffer | string, follow: boolean): Folder {
  if (!hasProc) {
    const stats = fs.lstatSync(path)
    if (!stats.isDirectory() && !(follow && fs.statSync(path).isDirectory()))
      throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' })
    return new Folder(null, String(path))
  }
  const fd = fs.openSync(path, O_PATH | O_DIRECTORY | (follow ? 0 : O_NOFOLLOW))
  return new Folder(fd, `/proc/self/fd/${fd}`)
}

/** A resolved place: the caller disposes of it. */
export class Place implements Disposable {
  readonly folder: Folder
  /** null: the place is the virtual root or a mount point, and `folder` is it. */
  readonly name: Buffer | null
  /** Without links. */
  readonly path: VirtualPath
  readonly readOnly: boolean
  /** What stood there when the place was resolved, where that was looked at: the first question's answer. */
  #seen: fs.Stats | null | undefined
  /** Where its folder was when the place was resolved, where that was looked at; bytes as Latin-1. */
  readonly #found: string | undefined
  #real: Buffer | string | undefined

  constructor(folder: Folder, name: Buffer | null, path: VirtualPath, readOnly: boolean, seen?: fs.Stats | null, found?: string) {
    this.folder = folder
    this.name = name
    this.path = path
    this.readOnly = readOnly
    this.#seen = seen
    this.#found = found
  }

  get real(): Buffer | string {
    this.#real ??= this.folder.at(this.name)
    return this.#real
  }

  /** Where it is now, for rows that outlive this process. */
  realPath(): Buffer {
    const folder = this.folder.realPath()
    return this.name === null ? folder : under(folder, this.name)
  }

  /** As {@link realPath}, for whoever resolved the place this very moment: where that was looked at, it is not asked again. */
  realPathThen(): Buffer {
    return this.#found === undefined || this.name === null ? this.realPath() : under(Buffer.from(this.#found, 'latin1'), this.name)
  }

  /** null when there is nothing of that name. */
  lstat(): fs.Stats | null {
    const seen = this.#seen
    this.#seen = undefined
    if (seen !== undefined) return seen
    return fs.lstatSync(this.real, { throwIfNoEntry: false }) ?? null
  }

  /** The place itself as an open folder; the caller disposes of it. @throws FileFlowError `path.not_directory`, `path.not_found` */
  enter(): Folder {
    return translated(() => openFolder(this.real, this.name === null))
  }

  [Symbol.dispose](): void {
    this.folder[Symbol.dispose]()
  }
}

export class Jail {
  readonly #home: string
  readonly #mounts: readonly Mount[]
  readonly #storageRoot: string | null
  readonly #kept: KeptFolder | null

  /** @param storageRoot below it no part of a home or mount target may be a link: another user's home may hold this one, and its links with it. @param keeps the last folder is kept open, until {@link close} */
  constructor(home: string, mounts: readonly Mount[], storageRoot: string | null, keeps = false) {
    this.#home = home
    this.#kept = keeps ? new KeptFolder() : null
    this.#mounts = mounts
    this.#storageRoot = storageRoot === null ? null : resolvePath(storageRoot)
  }

  /** A home or mount target, as the operator named it. */
  #openTop(path: string): Folder {
    const root = this.#storageRoot
    if (root === null || !path.startsWith(`${root}/`)) return openFolder(path, true)
    let folder = openFolder(root, true)
    for (const part of path.slice(root.length + 1).split('/')) {
      using above = folder
      folder = openFolder(above.at(Buffer.from(part)), false)
    }
    return folder
  }

  /**
   * Walks to `path`. All parts but the last must be folders (links among them are followed inside the root); the last may be missing.
   * @throws FileFlowError `path.not_found`, `path.not_directory`, `path.link_loop`, `permission.denied`
   */
  resolve(path: VirtualPath, followLast: boolean): Place {
    try {
      const near = this.#kept && this.#near(path, followLast, this.#kept)
      if (near) return near
      const place = this.#walk(split(path), followLast)
      // only what needed no link
      if (this.#kept && place.name !== null && place.path === path) this.#kept.keep(parentOf(path), place.folder, place.readOnly)
      return place
    } catch (error) {
      throw fromErrno(error)
    }
  }

  /** No folder is kept open any more. */
  close(): void {
    this.#kept?.drop()
  }

  /** The place in the kept folder, unless it takes a walk to find it. */
  #near(path: VirtualPath, followLast: boolean, keeper: KeptFolder): Place | null {
    if (path === ROOT || this.#mounts.some((mount) => mount.path === path)) return null
    const kept = keeper.find(parentOf(path))
    if (!kept) return null
    const name = nameToBytes(baseOf(path))
    if (!followLast) return new Place(kept.folder.share(), name, path, kept.readOnly, undefined, kept.real)
    const seen = fs.lstatSync(kept.folder.at(name), { throwIfNoEntry: false }) ?? null
    return seen?.isSymbolicLink() ? null : new Place(kept.folder.share(), name, path, kept.readOnly, seen, kept.real)
  }

  #walk(wanted: string[], followLast: boolean): Place {
    let links = 0
    let todo = wanted
    // each round walks from the root without meeting a link, or meets one and begins again with its target laid in
    for (;;) {
      const done: string[] = []
      let mount = this.#mountAt(done)
      let folder = this.#openTop(this.#home)
      try {
        let met: { link: string; rest: string[] } | undefined
        for (let i = 0; i < todo.length; i++) {
          const name = todo[i]!
          const last = i === todo.length - 1
          const bytes = nameToBytes(name)
          const mounted = this.#mountAt([...done, name])
          if (mounted) {
            // opened before the other is closed: when it fails, the other is closed below, and only once
            const target = this.#openTop(mounted.target)
            folder[Symbol.dispose]()
            folder = target
            mount = mounted
            done.push(name)
            continue
          }
          if (last) {
            const link = followLast ? readLink(folder.at(bytes)) : null
            if (link === null) return new Place(folder, bytes, virtual([...done, name]), mount?.readOnly ?? false)
            met = { link, rest: [] }
            break
          }
          const next = this.#enter(folder, bytes)
          if (typeof next === 'string') {
            met = { link: next, rest: todo.slice(i + 1) }
            break
          }
          folder[Symbol.dispose]()
          folder = next
          done.push(name)
        }
        if (!met) return new Place(folder, null, virtual(done), mount?.readOnly ?? false)
        if (!hasProc) throw new FileFlowError('permission.denied')
        if (++links > MOST_LINKS) throw new FileFlowError('path.link_loop')
        todo = normalise(met.link.startsWith('/') ? [] : done, [...met.link.split('/'), ...met.rest])
        // links that lay in ever longer paths would keep the worker busy for seconds
        if (todo.reduce((sum, part) => sum + part.length + 1, 0) > PATH_MAX)
          throw new FileFlowError('path.invalid', 'The path is too long.')
      } catch (error) {
        folder[Symbol.dispose]()
        throw error
      }
      folder[Symbol.dispose]()
    }
  }

  /** The folder of that name, or the text of the link that stands there. */
  #enter(folder: Folder, name: Buffer): Folder | string {
    try {
      return openFolder(folder.at(name), false)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (code === 'ENOTDIR' || code === 'ELOOP') {
        const link = readLink(folder.at(name))
        if (link !== null) return link
      }
      throw error
    }
  }

  #mountAt(parts: readonly string[]): Mount | undefined {
    if (this.#mounts.length === 0) return undefined
    const path = virtual(parts)
    return this.#mounts.find((mount) => mount.path === path)
  }

  /** Whether it lies in a mount that is read only. */
  isReadOnly(path: VirtualPath): boolean {
    let inner: Mount | undefined
    for (const mount of this.#mounts) if (isWithin(path, mount.path) && mount.path.length > (inner?.path.length ?? 0)) inner = mount
    return inner?.readOnly ?? false
  }

  isMountOrHoldsOne(path: VirtualPath): boolean {
    return path === '/' || this.#mounts.some((mount) => mount.path === path || mount.path.startsWith(`${path}/`))
  }
}

const virtual = (parts: readonly string[]): VirtualPath => `/${parts.join('/')}` as VirtualPath

/** The text of a link, or null when it is none (or nothing). */
function readLink(path: Buffer | string): string | null {
  try {
    return nameFromBytes(fs.readlinkSync(path, { encoding: 'buffer' }))
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'EINVAL' || code === 'ENOENT') return null
    throw error
  }
}

/** A link's target is as hostile as typed text: `..` stops at the root, the gateway's own folder does not exist. */
function normalise(base: readonly string[], parts: readonly string[]): string[] {
  const result = [...base]
  for (const part of parts) {
    if (part === '' || part === '.') continue
    if (part === '..') result.pop()
    else if (isReservedName(part)) throw new FileFlowError('path.not_found')
    else result.push(part)
  }
  return result
}
