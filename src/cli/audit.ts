// `audit verify`: whether the audit log is as it was written.
// Must not compute hashes itself.
import { ask } from './api-client.ts'
import { type Command, parse, UsageError } from './command.ts'

export const audit: Command = {
  name: 'audit',
  summary: "check the audit log's hash chain",
  usage: `Usage: fileflow audit verify [--config FILE]

Ends with 1 and names the first broken row when the chain is broken.`,
  async run([verb, ...rest], io) {
    if (verb !== 'verify') throw new UsageError('say what: verify')
    const { values } = parse(rest, {}, [0, 0])
    const result = await ask<{ ok: boolean; rows: number; broken: number | null }>(
      await io.transport(values.config),
      'GET',
      '/audit/verify',
    )
    if (result.ok) io.stdout.write(`The audit log is whole: ${result.rows} rows.\n`)
    else io.stderr.write(`The audit log is broken at row ${result.broken} of ${result.rows}.\n`)
    return result.ok ? 0 : 1
  },
}
