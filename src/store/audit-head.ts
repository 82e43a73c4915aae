// Where the audit log ended when that was last put down, beside the database and sealed, so that rows cut off its end are missed.
// Must not be ahead of what a power loss leaves of the database.
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { SecretBox } from './secret-box.ts'

export const AUDIT_HEAD = 'audit.head'
const CONTEXT = 'the audit log'

/** A row that was there. */
export interface Head {
  readonly seq: number
  readonly hash: string
}

export interface AuditHead {
  /** What was put down; null when nothing was, `unreadable` when others wrote it. */
  read(): Head | 'unreadable' | null
  /** @throws what the disk says */
  write(head: Head): void
}

export function createAuditHead(dataDir: string, secrets: SecretBox): AuditHead {
  const file = join(dataDir, AUDIT_HEAD)
  return {
    read() {
      let sealed: Buffer
      try {
        sealed = readFileSync(file)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
        throw error
      }
      try {
        return secrets.open(sealed, CONTEXT) as Head
      } catch {
        // not sealed with our key: as good as a wrong one, and said as such by who asks
        return 'unreadable'
      }
    },
    write(head) {
      const temporary = `${file}.new`
      const fd = openSync(temporary, 'w', 0o600)
      try {
        writeSync(fd, secrets.seal(head, CONTEXT))
        fsyncSync(fd)
      } finally {
        closeSync(fd)
      }
      renameSync(temporary, file)
    },
  }
}
