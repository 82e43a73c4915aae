// The store as one thing: the database with all its rows, opened and closed together.
// Must not be opened by a worker thread.
import { join } from 'node:path'
import { createAccountRows } from './accounts.ts'
import { createAuditLog } from './audit.ts'
import { createAuditHead } from './audit-head.ts'
import { dropRemains, makeBackup } from './backup.ts'
import { openDatabase } from './database.ts'
import { createDeliveryRows } from './deliveries.ts'
import { DATABASE, finishExchange } from './exchange.ts'
import { createGroupCommit, type Durability } from './group-commit.ts'
import { createLastRun } from './last-run.ts'
import { openReceiptKey } from './receipt-key.ts'
import { createRefusalCounts } from './refusal-counts.ts'
import { createRetention } from './retention.ts'
import { createRoots } from './roots.ts'
import { createRoutingRows } from './routing.ts'
import { openSecretBox } from './secret-box.ts'
import { createTransferRows } from './transfers.ts'
import { createWatchedRows } from './watched.ts'

/** @throws FileFlowError `database.newer`, `config.invalid` */
export function openStore(dataDir: string, durability: Durability) {
  finishExchange(dataDir)
  const db = openDatabase(join(dataDir, DATABASE))
  dropRemains(dataDir)
  const group = createGroupCommit(db, durability)
  const secrets = openSecretBox(join(dataDir, 'keys', 'secrets.key'))
  const audit = createAuditLog(db, createAuditHead(dataDir, secrets))
  const checkpoint = (): boolean => {
    group.flush()
    const [state] = db.pragma('wal_checkpoint(PASSIVE)') as { busy: number; log: number; checkpointed: number }[]
    return state?.busy === 0 && state.log === state.checkpointed
  }
  const noteAuditHead = (): void => audit.noteHead(checkpoint)
  return {
    group,
    receiptKey: openReceiptKey(dataDir),
    secrets,
    audit,
    accounts: createAccountRows(db),
    routing: createRoutingRows(db),
    transfers: createTransferRows(db),
    deliveries: createDeliveryRows(db),
    lastRun: createLastRun(db),
    refusalCounts: createRefusalCounts(db),
    roots: createRoots(db),
    prune: createRetention(db),
    /** Database and keys as one file's stream, consistent. @param now ms */
    backup: (fileflow: string, now: number) => makeBackup(db, dataDir, fileflow, now),
    watched: createWatchedRows(db),
    /** Writes the log back into the database, with its syncs. @returns whether all of it, so that a power loss can take nothing back */
    checkpoint,
    /** Puts down where the audit log ends, so that a shorter one is noticed. From time to time. */
    noteAuditHead,
    close() {
      group.flush()
      try {
        noteAuditHead()
      } catch {
        // a disk that is full or gone: the end that was put down before stands, and must not keep the database from being closed
      }
      db.pragma('optimize')
      db.close()
    },
  }
}

export type Store = ReturnType<typeof openStore>
