// What a session may reach: it must live, the table must allow it, and the jail must find a way, in this order.
// Must not touch what stands there, and lets nothing pass without its row in REQUIRED.
import { FileFlowError } from '../core/errors.ts'
import { isAllowed, isWriting, type Permission } from '../core/permission.ts'
import type { Principal } from '../core/user.ts'
import { isWithin, type VirtualPath } from '../core/virtual-path.ts'
import { Jail, type Place } from './jail.ts'

/** What each operation needs on the path it names. Uploads add `overwrite` or `resume` by what stands there (stage.ts), links more (hard-link.ts). */
export const REQUIRED = {
  list: 'list',
  stat: 'list',
  download: 'download',
  digest: 'download',
  upload: 'upload',
  overwrite: 'overwrite',
  resume: 'resume',
  mkdir: 'mkdir',
  rmdir: 'rmdir',
  remove: 'delete',
  rename: 'rename',
  linkFrom: 'download',
  linkTo: 'upload',
  chmod: 'chmod',
  utime: 'utime',
  resize: 'overwrite',
  readlink: 'list',
  symlink: 'symlink',
} as const satisfies Record<string, Permission>

export class Access {
  readonly #jail: Jail
  #principal: Principal
  #over: Error | undefined

  constructor(principal: Principal, storageRoot: string) {
    this.#principal = principal
    this.#jail = new Jail(principal.home, principal.mounts, storageRoot, true)
  }

  get principal(): Principal {
    return this.#principal
  }

  setPrincipal(principal: Principal): void {
    this.#principal = principal
  }

  /** Why the session is over; undefined while it lives. */
  get over(): Error | undefined {
    return this.#over
  }

  /** From here on nothing is reached any more. */
  end(why: Error): void {
    this.#over ??= why
    this.#jail.close()
  }

  may(permission: Permission, path: VirtualPath): boolean {
    return isAllowed(this.#principal.permissions, path, permission)
  }

  /** As {@link may}, and the place itself does not forbid it: for telling beforehand what would be refused. */
  couldDo(permission: Permission, path: VirtualPath): boolean {
    if (!this.may(permission, path) || (isWriting(permission) && this.#jail.isReadOnly(path))) return false
    if (permission !== 'rmdir' && permission !== 'rename') return true
    return !this.isMountOrHoldsOne(path) && !(permission === 'rename' && this.holdsPermissions(path))
  }

  alive(): void {
    if (this.#over) throw this.#over
  }

  need(permission: Permission, path: VirtualPath): void {
    this.alive()
    if (!this.may(permission, path)) throw new FileFlowError('permission.denied')
  }

  /** Walks to the place and asks the table about both what was named and where links led. The caller disposes of it. */
  reach(path: VirtualPath, permission: Permission | readonly Permission[], followLast: boolean): Place {
    const all = typeof permission === 'string' ? [permission] : permission
    for (const each of all) this.need(each, path)
    const place = this.#jail.resolve(path, followLast)
    if (!all.every((each) => this.may(each, place.path) && !(place.readOnly && isWriting(each)))) {
      place[Symbol.dispose]()
      throw new FileFlowError('permission.denied')
    }
    return place
  }

  /** The canonical path; who may not list there learns nothing of what is there. */
  realpath(path: VirtualPath): VirtualPath {
    this.alive()
    // clients ask this first, and must get an answer
    if (!this.may(REQUIRED.stat, path)) return path
    using place = this.#jail.resolve(path, true)
    return place.path
  }

  isMountOrHoldsOne(path: VirtualPath): boolean {
    return this.#jail.isMountOrHoldsOne(path)
  }

  /** Rows of the table below one of the folders, which would not move with it. */
  holdsPermissions(...folders: VirtualPath[]): boolean {
    return this.#principal.permissions.some((row) => folders.some((folder) => row.path !== folder && isWithin(row.path, folder)))
  }
}
