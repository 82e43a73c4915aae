// Rows of watched folders: which files were taken in already, and which lay there before.
// Must not decide what is taken; intake/watched.ts does.
import type { Sqlite } from './database.ts'

export interface WatchedFolderRow {
  folder: string
  since: number
  inode: string | null
  scan: number
  reconciled: 0 | 1
}

export interface WatchedFileRow {
  identity: string
  state: 'taken' | 'skipped' | 'held'
  transfer_id: string | null
  scan: number
}

export function createWatchedRows(db: Sqlite) {
  const q = {
    folders: db.prepare('SELECT * FROM watched_folders ORDER BY folder'),
    folder: db.prepare('SELECT * FROM watched_folders WHERE folder = ?'),
    addFolder: db.prepare('INSERT INTO watched_folders (folder, since) VALUES (?, ?) ON CONFLICT DO NOTHING'),
    removeFolder: db.prepare('DELETE FROM watched_folders WHERE folder = ?'),
    enter: db.prepare('UPDATE watched_folders SET scan = scan + 1, inode = coalesce(inode, @inode) WHERE folder = @folder RETURNING *'),
    reconciled: db.prepare('UPDATE watched_folders SET reconciled = 1 WHERE folder = ?'),
    prune: db.prepare(
      'DELETE FROM watched_files WHERE folder = @folder AND scan < @scan AND EXISTS (SELECT 1 FROM watched_folders WHERE folder = @folder AND inode = @inode)',
    ),
    file: db.prepare('SELECT identity, state, transfer_id, scan FROM watched_files WHERE folder = ? AND path = ?'),
    put: db.prepare(`INSERT INTO watched_files VALUES (@folder, @path, @identity, @state, @transfer_id, @scan)
      ON CONFLICT (folder, path) DO UPDATE SET identity = @identity, state = @state, transfer_id = @transfer_id, scan = @scan`),
    seen: db.prepare('UPDATE watched_files SET scan = ? WHERE folder = ? AND path = ?'),
    forget: db.prepare('DELETE FROM watched_files WHERE folder = ? AND path = ? AND transfer_id = ?'),
    skipHeld: db.prepare("UPDATE watched_files SET state = 'skipped' WHERE folder = ? AND state = 'held'"),
    freeHeld: db.prepare("DELETE FROM watched_files WHERE folder = ? AND state = 'held'"),
    countHeld: db.prepare("SELECT count(*) FROM watched_files WHERE folder = ? AND state = 'held'").pluck(),
  }
  return {
    folders: () => q.folders.all() as WatchedFolderRow[],
    folder: (folder: string) => q.folder.get(folder) as WatchedFolderRow | undefined,
    addFolder: (folder: string, since: number) => void q.addFolder.run(folder, since),
    /** With all that is known of its files. */
    removeFolder: (folder: string) => void q.removeFolder.run(folder),
    /** A scan begins. `inode` is kept from the first time. */
    enter: (folder: string, inode: string) => q.enter.get({ folder, inode }) as WatchedFolderRow | undefined,
    reconciled: (folder: string) => void q.reconciled.run(folder),
    /** Forgets what the scan did not see, where it looked into the very folder that is on record. @returns how many */
    prune: (folder: string, scan: number, inode: string) => q.prune.run({ folder, scan, inode }).changes,
    file: (folder: string, path: Uint8Array) => q.file.get(folder, path) as WatchedFileRow | undefined,
    put: (folder: string, path: Uint8Array, row: WatchedFileRow) => void q.put.run({ folder, path, ...row }),
    seen: (folder: string, path: Uint8Array, scan: number) => void q.seen.run(scan, folder, path),
    /** That file, taken in as that transfer, has left its name. */
    forget: (folder: string, path: Uint8Array, transferId: string) => void q.forget.run(folder, path, transferId),
    skipHeld: (folder: string) => void q.skipHeld.run(folder),
    freeHeld: (folder: string) => void q.freeHeld.run(folder),
    countHeld: (folder: string) => q.countHeld.get(folder) as number,
  }
}
