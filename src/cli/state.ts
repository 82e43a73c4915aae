// `apply` and `export`: the state file in and out.
// Must not compare states itself; the control plane answers what would change.
import { stringify } from 'yaml'
import type { DestinationSpec } from '../core/destination.ts'
import { openWithPassphrase } from '../core/sealed.ts'
import type { StateFile } from '../core/state-file.ts'
import type { StateChange } from '../core/views.ts'
import { ask } from './api-client.ts'
import { type Command, type CommandIo, parse, printable, UsageError } from './command.ts'
import { readPassword, readSecret } from './prompt.ts'
import { readStateFile } from './state-document.ts'

const SIGN = { create: '+', update: '~', remove: '-', same: ' ' } as const satisfies Record<StateChange['change'], string>

const PASSPHRASE = { 'passphrase-stdin': { type: 'boolean' } } as const

/** The file with its sealed secrets back in their destinations. @throws FileFlowError `request.invalid` for a wrong passphrase */
async function opened({ secrets, ...state }: StateFile, io: CommandIo, fromStdin: boolean): Promise<StateFile> {
  const passphrase = await readSecret(io, fromStdin, 'Passphrase of the secrets', '--passphrase-stdin')
  const clear = (await openWithPassphrase(secrets!, passphrase)) as { destinations?: Record<string, Partial<DestinationSpec>> }
  return {
    ...state,
    destinations: (state.destinations ?? []).map((destination) => ({ ...clear.destinations?.[destination.name], ...destination })),
  }
}

export const apply: Command = {
  name: 'apply',
  summary: 'make users, destinations and rules as a state file declares them',
  usage: `Usage: fileflow apply FILE [--dry-run] [--prune] [--passphrase-stdin] [--config FILE]

Reads FILE (YAML), shows what differs and makes it so in one transaction. Doing it again changes nothing.
  --dry-run   only show what would change
  --prune     also remove what FILE does not name
  --passphrase-stdin   the passphrase of sealed secrets is the first line of stdin, not asked for`,
  async run(args, io) {
    const { values, positionals } = parse(args, { 'dry-run': { type: 'boolean' }, prune: { type: 'boolean' }, ...PASSPHRASE }, [1, 1])
    const declared = readStateFile(positionals[0]!)
    const state = declared.secrets === undefined ? declared : await opened(declared, io, values['passphrase-stdin'] === true)
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
  usage: `Usage: fileflow export [--with-secrets [--passphrase-stdin]] [--config FILE]

Prints users, destinations and rules as YAML that apply takes: password hashes, never clear secrets.
  --with-secrets       add the secrets of destinations, sealed with a passphrase that apply asks for
  --passphrase-stdin   the passphrase is the first line of stdin, not asked for`,
  async run(args, io) {
    const { values } = parse(args, { 'with-secrets': { type: 'boolean' }, ...PASSPHRASE }, [0, 0])
    if (values['passphrase-stdin'] && !values['with-secrets']) throw new UsageError('--passphrase-stdin goes with --with-secrets')
    const transport = await io.transport(values.config)
    const state = values['with-secrets']
      ? await ask<StateFile>(transport, 'POST', '/state/export', {
          passphrase: await readPassword(io, values['passphrase-stdin'] === true, 'Passphrase for the secrets', '--passphrase-stdin'),
        })
      : await ask<StateFile>(transport, 'GET', '/state')
    io.stdout.write(stringify(state, { lineWidth: 0 }))
    return 0
  },
}
