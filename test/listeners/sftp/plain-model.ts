// What a partner's folder must look like after each request: a plain folder that does the same by plain system calls, with a status as OpenSSH would give it.
// Must not share code with the server. An open file changes the folder at its CLOSE alone, as a new file under the old name: that is the gateway's promise.
import * as fs from 'node:fs'
import { dirname, join } from 'node:path'

const STATUS: Record<string, number> = { ENOENT: 2, ENOTDIR: 2, ELOOP: 2, EPERM: 3, EACCES: 3, EINVAL: 5, ENAMETOOLONG: 5 }
export const FLAG = { READ: 1, WRITE: 2, APPEND: 4, CREAT: 8, TRUNC: 16, EXCL: 32 }

/** Runs it; 0, or the status of its errno. */
export function statusOf(work: () => void): number {
  try {
    work()
    return 0
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    return STATUS[code] ?? 4
  }
}

export interface ModelFile {
  /** A rename of the name takes the open file along. */
  path: string
  readonly flags: number
  content: Buffer
  /** It was renamed onto another file, which goes at its CLOSE: its mode is its own. */
  replaces: boolean
}

const fail = (code: string): never => {
  throw Object.assign(new Error(code), { code })
}

export class PlainModel {
  readonly root: string

  constructor(root: string) {
    this.root = root
  }

  real(path: string): string {
    return join(this.root, path)
  }

  /** Where the last part leads; the links of these tests lead to names beside them. */
  follow(path: string): string {
    for (let at = path, steps = 0; ; steps++) {
      if (steps > 40) fail('ELOOP')
      const found = fs.lstatSync(this.real(at), { throwIfNoEntry: false })
      if (!found?.isSymbolicLink()) return at
      at = join(dirname(at), fs.readlinkSync(this.real(at)))
    }
  }

  open(path: string, flags: number): ModelFile {
    const exclusive = (flags & FLAG.CREAT) !== 0 && (flags & FLAG.EXCL) !== 0
    const target = exclusive ? path : this.follow(path)
    const found = fs.lstatSync(this.real(target), { throwIfNoEntry: false })
    if (exclusive && found) fail(found.isDirectory() ? 'EISDIR' : 'EEXIST')
    if (found?.isDirectory()) fail('EISDIR')
    if (!found && !(flags & FLAG.CREAT)) fail('ENOENT')
    if (!fs.statSync(dirname(this.real(target))).isDirectory()) fail('ENOTDIR')
    if (!found && !(flags & FLAG.WRITE)) {
      fs.writeFileSync(this.real(target), '')
      fs.chmodSync(this.real(target), 0o644)
    }
    const fresh = !found || (flags & FLAG.TRUNC) !== 0
    // a second name of the file keeps what it had
    if (found && fresh && !(flags & FLAG.WRITE)) this.#replace(target, Buffer.alloc(0))
    return { path: target, flags, content: fresh ? Buffer.alloc(0) : fs.readFileSync(this.real(target)), replaces: false }
  }

  #replace(path: string, content: Buffer, ownMode = false): void {
    const mode = (ownMode ? undefined : fs.statSync(this.real(path), { throwIfNoEntry: false })?.mode) ?? 0o644
    const made = `${this.root}.new`
    fs.writeFileSync(made, content)
    fs.chmodSync(made, mode & 0o777)
    fs.renameSync(made, this.real(path))
  }

  static write(file: ModelFile, at: number, data: Buffer): void {
    const from = file.flags & FLAG.APPEND ? file.content.length : at
    if (data.length === 0) return
    const grown = Buffer.alloc(Math.max(file.content.length, from + data.length))
    file.content.copy(grown)
    data.copy(grown, from)
    file.content = grown
  }

  static resize(file: ModelFile, size: number): void {
    const made = Buffer.alloc(size)
    file.content.copy(made, 0, 0, size)
    file.content = made
  }

  close(file: ModelFile): void {
    if (file.flags & FLAG.WRITE) this.#replace(file.path, file.content, file.replaces)
  }

  rename(from: string, to: string, overwrite: boolean): void {
    fs.lstatSync(this.real(from))
    fs.lstatSync(dirname(this.real(to)))
    if (!overwrite && fs.lstatSync(this.real(to), { throwIfNoEntry: false })) fail('EEXIST')
    fs.renameSync(this.real(from), this.real(to))
  }

  /** The name of an open file: until its CLOSE the folder has what it had, wherever that is by then. @param taken another open file has the new name */
  renameOpen(file: ModelFile, to: string, overwrite: boolean, taken: boolean): void {
    const there = fs.lstatSync(this.real(file.path), { throwIfNoEntry: false })
    if (there && !file.replaces) {
      if (taken) fail('EEXIST')
      this.rename(file.path, to, overwrite)
    } else {
      fs.lstatSync(dirname(this.real(to)))
      if (!fs.statSync(dirname(this.real(to))).isDirectory()) fail('ENOTDIR')
      const before = fs.lstatSync(this.real(to), { throwIfNoEntry: false })
      if (taken || (before && !overwrite)) fail('EEXIST')
      if (before?.isDirectory()) fail('EISDIR')
      // what the file was renamed onto, and has stood there since
      if (there) fs.unlinkSync(this.real(file.path))
      file.replaces ||= before !== undefined
    }
    file.path = to
  }

  setSize(path: string, size: number): void {
    const file = this.open(path, FLAG.WRITE)
    PlainModel.resize(file, size)
    this.close(file)
  }
}

/** Every name below the folder with its kind, mode, content or target. */
export function treeOf(root: string): string[] {
  const lines: string[] = []
  const walk = (below: string): void => {
    for (const entry of fs.readdirSync(join(root, below), { withFileTypes: true })) {
      const path = join(below, entry.name)
      const real = join(root, path)
      const { mode, nlink } = fs.lstatSync(real)
      if (entry.isSymbolicLink()) lines.push(`${path} -> ${fs.readlinkSync(real)}`)
      else if (entry.isDirectory()) {
        lines.push(`${path}/ ${(mode & 0o777).toString(8)}`)
        walk(path)
      } else lines.push(`${path} ${(mode & 0o777).toString(8)} links ${nlink} ${fs.readFileSync(real).toString('base64')}`)
    }
  }
  walk('')
  return lines.sort()
}
