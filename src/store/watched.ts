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

/** A volume below a watched folder may be mounted late, or be away for days: its files are not new when it is back. */
const KEPT_MS = 7 * 24 * 3600_000

export interface WatchedFileRow {
  identity: string
  state: 'taken' | 'skipped' | 'held'
  transfer_id: string | null
  scan: number
  /** The inode of the folder that it was seen in. */
  root: string | null
  /** Since when scans miss it. */
  gone_at: number | null
}

export function createWatchedRows(db: Sqlite) {
  const q = {
    folders: db.prepare('SELECT * FROM watched_folders ORDER BY folder'),
    folder: db.prepare('SELECT * FROM watched_folders WHERE folder = ?'),
    addFolder: db.prepare('INSERT INTO watched_folders (folder, since) VALUES (?, ?) ON CONFLICT DO NOTHING'),
    removeFolder: db.prepare('DELETE FROM watched_folders WHERE folder = ?'),
    enter: db
      .prepare(
        'UPDATE watched_folders SET scan = scan + 1, reconciled = CASE WHEN @other THEN 0 ELSE reconciled END, inode = @inode WHERE folder = @folder RETURNING scan',
      )
      .pluck(),
    adopt: db.prepare('UPDATE watched_files SET root = @inode WHERE folder = @folder AND root = @number'),
    reconciled: db.prepare('UPDATE watched_folders SET reconciled = 1 WHERE folder = ?'),
    prune: db.prepare('DELETE FROM watched_files WHERE folder = @folder AND root = @root AND scan < @scan AND gone_at <= @before'),
    lose: db.prepare(
      'UPDATE watched_files SET gone_at = @now WHERE folder = @folder AND root = @root AND scan < @scan AND gone_at IS NULL',
    ),
    spare: db.prepare(
      'UPDATE watched_files SET scan = @scan, gone_at = NULL WHERE folder = @folder AND root = @root AND path >= @from AND path < @to',
    ),
    file: db.prepare('SELECT identity, state, transfer_id, scan, root, gone_at FROM watched_files WHERE folder = ? AND path = ?'),
    put: db.prepare(`INSERT INTO watched_files VALUES (@folder, @path, @identity, @state, @transfer_id, @scan, @root, NULL)
      ON CONFLICT (folder, path) DO UPDATE SET identity = @identity, state = @state, transfer_id = @transfer_id, scan = @scan, root = @root, gone_at = NULL`),
    seen: db.prepare('UPDATE watched_files SET scan = ?, root = ?, gone_at = NULL WHERE folder = ? AND path = ?'),
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
    /**
     * A scan begins. In another folder than the last time, what lies there is history again.
     * @param inode its number and, behind a colon, the time it was made, where that is known. By its number alone it is taken for the same: it was noted before the time was
     * @returns the number of the scan (0 for a folder that is not watched any more), and whether it is another folder
     */
    enter(folder: string, inode: string): { scan: number; other: boolean } {
      const before = (q.folder.get(folder) as WatchedFolderRow | undefined)?.inode ?? inode
      const number = inode.replace(/:.*/, '')
      const other = before !== inode && before !== number
      if (number !== inode) q.adopt.run({ folder, inode, number })
      return { scan: (q.enter.get({ folder, inode, other: other ? 1 : 0 }) as number | undefined) ?? 0, other }
    },
    reconciled: (folder: string) => void q.reconciled.run(folder),
    /** Forgets what was seen in the very folder that the scan looked into, and scans miss for {@link KEPT_MS} now; `unread`: folders that it could not look into. @returns how many */
    prune(folder: string, scan: number, root: string, unread: readonly Uint8Array[], now: number): number {
      // all that is below a path is between these two: `0` comes after `/`
      for (const path of unread) q.spare.run({ folder, root, scan, from: Buffer.from([...path, 0x2f]), to: Buffer.from([...path, 0x30]) })
      q.lose.run({ folder, scan, root, now })
      return q.prune.run({ folder, scan, root, before: now - KEPT_MS }).changes
    },
    file: (folder: string, path: Uint8Array) => q.file.get(folder, path) as WatchedFileRow | undefined,
    put: (folder: string, path: Uint8Array, row: Omit<WatchedFileRow, 'gone_at'>) => void q.put.run({ folder, path, ...row }),
    seen: (folder: string, path: Uint8Array, scan: number, root: string | null) => void q.seen.run(scan, root, folder, path),
    /** That file, taken in as that transfer, has left its name. */
    forget: (folder: string, path: Uint8Array, transferId: string) => void q.forget.run(folder, path, transferId),
    skipHeld: (folder: string) => void q.skipHeld.run(folder),
    freeHeld: (folder: string) => void q.freeHeld.run(folder),
    countHeld: (folder: string) => q.countHeld.get(folder) as number,
  }
}
