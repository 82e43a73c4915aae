// `apply` and `export`: the state file in and out.
// Must not compare states itself; the control plane answers what would change.
import { stringify } from 'yaml'
import type { StateFile } from '../core/state-file.ts'
import type { StateChange } from '../core/views.ts'
import { ask } from './api-client.ts'
import { type Command, parse, printable } from './command.ts'
import { readStateFile } from './state-document.ts'

const SIGN = { create: '+', update: '~', remove: '-', same: ' ' } as const satisfies Record<StateChange['change'], string>

export const apply: Command = {
  name: 'apply',
  summary: 'make users, destinations and rules as a state file declares them',
  usage: `Usage: fileflow apply FILE [--dry-run] [--prune] [--config FILE]

Reads FILE (YAML), shows what differs and makes it so in one transaction. Doing it again changes nothing.
  --dry-run   only show what would change
  --prune     also remove what FILE does not name`,
  async run(args, io) {
    const { values, positionals } = parse(args, { 'dry-run': { type: 'boolean' }, prune: { type: 'boolean' } }, [1, 1])
    const state = readStateFile(positionals[0]!)
    const transport = await io.transport(values.config)
    const query = `?dry_run=${values['dry-run'] === true}&prune=${values.prune === true}`
    const { items } = await ask<{ items: StateChange[] }>(transport, 'POST', `/state/apply${query}`, state)
    const changes = items.filter((item) => item.change !== 'same')
    for (const { change, kind, name, keys } of changes) {
      const which = change === 'update' && keys.length > 0 ? `: ${keys.join(', ')}` : ''
      io.stdout.write(`${SIGN[change]} ${kind} ${printable(name)}${which}\n`)
    }
    const count = (change: StateChange['change']) => items.filter((item) => item.change === change).length
    const sum = `${count('create')} to create, ${count('update')} to change, ${count('remove')} to remove, ${count('same')} the same`
    io.stdout.write(
      values['dry-run']
        ? `${sum}. Nothing was changed.\n`
        : changes.length === 0
          ? 'Nothing to do: all is as the file says.\n'
          : `Done: ${count('create')} created, ${count('update')} changed, ${count('remove')} removed, ${count('same')} the same.\n`,
    )
    return 0
  },
}

export const exportState: Command = {
  name: 'export',
  summary: 'print the present state file',
  usage: `Usage: fileflow export [--config FILE]

Prints users, destinations and rules as YAML that apply takes: password hashes, never clear secrets.`,
  async run(args, io) {
    const { values } = parse(args, {}, [0, 0])
    const state = await ask<StateFile>(await io.transport(values.config), 'GET', '/state')
    io.stdout.write(stringify(state, { lineWidth: 0 }))
    return 0
  },
}
