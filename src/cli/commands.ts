// The table of commands.
// Must not hold behaviour.
import { admin, user } from './accounts.ts'
import { audit } from './audit.ts'
import { backup, restore } from './backup.ts'
import { check } from './check.ts'
import type { Command } from './command.ts'
import { cancel, deliveries, retry } from './deliveries.ts'
import { importState } from './import.ts'
import { receipt } from './receipt.ts'
import { simulate } from './simulate.ts'
import { apply, exportState } from './state.ts'
import { status } from './status.ts'

export const COMMANDS: readonly Command[] = [
  check,
  apply,
  exportState,
  user,
  admin,
  status,
  deliveries,
  retry,
  cancel,
  receipt,
  simulate,
  audit,
  backup,
  restore,
  importState,
]
