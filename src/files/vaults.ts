// Vaults: the gateway's own folders for staging, spool and partials, one on each volume that holds homes, so that publishing is a rename.
// Must not lie in reach of any user: data_dir, or folders named `.fileflow`, which no virtual path can name.
import { hash } from 'node:crypto'
import fs from 'node:fs'
import { dirname, join } from 'node:path'
import { monotonic } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import type { Principal } from '../core/user.ts'
import { baseOf, nameToBytes, parentOf, RESERVED_NAME, ROOT, type VirtualPath } from '../core/virtual-path.ts'
import { translated } from './file-io.ts'
import { type Folder, Jail, openFolder } from './jail.ts'
import { under } from './under.ts'

export interface Vault {
  readonly root: string
  staging(transferId: string): string
  readonly spoolFolder: string
  spool(id: string): string
  /** Where the user's unfinished upload to `path` is kept; its folder may be missing. */
  partial(username: string, path: VirtualPath): Buffer
  /** The folder of all partials of the user's in the folder `parent`. */
  partialsIn(username: string, parent: VirtualPath): string
}

function vaultAt(root: string): Vault {
  const [stagingFolder, spoolFolder] = [join(root, 'staging'), join(root, 'spool')]
  // most that is asked of follows another of the same folder
  let last = { username: '', parent: '', folder: '' }
  const partialsIn = (username: string, parent: VirtualPath): string => {
    if (last.parent === parent && last.username === username) return last.folder
    const folder = join(root, 'partials', username, hash('sha256', nameToBytes(parent)).slice(0, 32))
    last = { username, parent, folder }
    return folder
  }
  return {
    root,
    staging: (id) => `${stagingFolder}/${id}`,
    spoolFolder,
    spool: (id) => `${spoolFolder}/${id}`,
    partialsIn,
    partial: (username, path) => under(partialsIn(username, parentOf(path)), nameToBytes(baseOf(path))),
  }
}

/** Whoever asks once asks of many files. */
let asked = vaultAt('')

/** Where, in the vault that holds this spooled content, the user's unfinished upload to `path` would be kept. */
export function partialBeside(spool: Uint8Array, username: string, path: VirtualPath): Buffer {
  const root = dirname(dirname(Buffer.from(spool).toString()))
  if (asked.root !== root) asked = vaultAt(root)
  return asked.partial(username, path)
}

const PARTS = ['staging', 'spool', 'partials'] as const
/** A vault's folders that were there so lately are there. */
const LOOK_MS = 1000

export class Vaults {
  readonly #byVolume = new Map<string, Vault>()
  /** When the folders of a vault were looked at, by its root. */
  readonly #seen = new Map<string, number>()
  readonly #dataDir: string
  readonly storageRoot: string

  constructor(dataDir: string, storageRoot: string) {
    this.#dataDir = dataDir
    this.storageRoot = storageRoot
  }

  /** The vault of the volume on which the folder lies, with its folders: for who writes. @param again something of it was missing */
  of(folder: Folder, again = false): Vault {
    const vault = this.find(folder)
    const seen = this.#seen.get(vault.root)
    const now = monotonic()
    if (seen !== undefined && now - seen < LOOK_MS && !again) return vault
    // a volume may have been exchanged, or somebody tidied up
    if (seen === undefined || PARTS.some((part) => !fs.existsSync(join(vault.root, part)))) {
      translated(() => {
        for (const part of PARTS) fs.mkdirSync(join(vault.root, part), { recursive: true, mode: 0o700 })
        if (vault.root !== this.#dataDir) checkOwn(vault.root)
      })
    }
    this.#seen.set(vault.root, now)
    return vault
  }

  /** As {@link of}, but makes nothing: for who only looks. A read-only volume has a vault by name, too, and nothing is in it. */
  find(folder: Folder): Vault {
    const volume = translated(() => folder.volume())
    const known = this.#byVolume.get(volume)
    if (known) return known
    const { root, ofWholeVolume } = translated(() => this.#place(volume, folder))
    const vault = vaultAt(root)
    // where the volume's top is not ours to write, each home has its own: whoever comes first must not decide for all
    if (ofWholeVolume) this.#byVolume.set(volume, vault)
    return vault
  }

  #place(volume: string, folder: Folder): { root: string; ofWholeVolume: boolean } {
    if (volumeOf(this.#dataDir) === volume) return { root: this.#dataDir, ofWholeVolume: true }
    if (volumeOf(this.storageRoot) === volume) return { root: join(this.storageRoot, RESERVED_NAME), ofWholeVolume: true }
    // the topmost folder of that volume; the walk ends at its mount point at the latest
    let top = folder.realPath().toString()
    let up = dirname(top)
    for (; up !== top && volumeOf(up) === volume && writable(up); up = dirname(top)) top = up
    return { root: join(top, RESERVED_NAME), ofWholeVolume: up === top || volumeOf(up) !== volume }
  }
}

function volumeOf(path: string): string | null {
  if (!fs.existsSync(path)) return null
  using folder = openFolder(path, true)
  return folder.volume()
}

/** The topmost folder of a volume may be open to everybody (/dev/shm, /tmp): a stranger may have been there first. */
function checkOwn(root: string): void {
  const stats = fs.lstatSync(root)
  if (!stats.isDirectory() || (process.geteuid && stats.uid !== process.geteuid()) || (stats.mode & 0o022) !== 0)
    throw new FileFlowError('storage.failed', undefined, { cause: new Error(`${root} is not the gateway's own folder`) })
}

function writable(path: string): boolean {
  try {
    fs.accessSync(path, fs.constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** The vaults of all volumes that hold these homes and mounts; folders that cannot be opened are passed over. For the control thread, at start. */
export function vaultsOf(vaults: Vaults, principals: Iterable<Pick<Principal, 'home' | 'mounts'>>): Vault[] {
  const found = new Map<string, Vault>()
  for (const { home, mounts } of principals) {
    for (const path of [home, ...mounts.map((mount) => mount.target)]) {
      try {
        using place = new Jail(path, [], vaults.storageRoot).resolve(ROOT, true)
        const vault = vaults.find(place.folder)
        found.set(vault.root, vault)
      } catch (error) {
        // a home or mount that cannot be entered holds nothing of ours that could be reached; its user was complained about at the start
        if (!(error instanceof FileFlowError)) throw error
      }
    }
  }
  return [...found.values()]
}
