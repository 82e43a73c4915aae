// `simulate`: which rules would match a file, and why the others do not.
// Must not match by itself.
import type { HistoryChange, HistoryResult, SimulateResult } from '../core/views.ts'
import { ask } from './api-client.ts'
import { type Command, type CommandIo, parse, printable, UsageError } from './command.ts'
import { readStateFile } from './state-document.ts'

export const simulate: Command = {
  name: 'simulate',
  summary: 'which rules would match a file',
  usage: `Usage: fileflow simulate --user USER --path PATH [--rules FILE] [--json] [--config FILE]
       fileflow simulate --days N [--rules FILE] [--json] [--config FILE]

PATH is the file as the user sees it (/filescma/a.xml). For a watched folder USER is watch:/srv/outbox, and PATH is seen from that folder. --rules takes the rules of a state file instead of those in force.
Ends with 1 when no rule matches. --days goes through the uploads of the last N days; with --rules it prints what would newly be sent (+),
no longer be sent (-) or be named differently (~) under these rules, and ends with 0.`,
  async run(args, io) {
    const { values } = parse(
      args,
      {
        user: { type: 'string' },
        path: { type: 'string' },
        rules: { type: 'string' },
        days: { type: 'string' },
        json: { type: 'boolean' },
      },
      [0, 0],
    )
    if (values.days !== undefined) {
      if (values.user !== undefined || values.path !== undefined) throw new UsageError('--days goes without --user and --path')
      if (!/^[1-9]\d{0,2}$/.test(values.days) || Number(values.days) > 400) throw new UsageError('--days: a number from 1 to 400')
      return history(Number(values.days), values, io)
    }
    if (values.user === undefined) throw new UsageError('--user is missing')
    if (values.path === undefined) throw new UsageError('--path is missing')
    const rules = values.rules === undefined ? {} : { rules: readStateFile(values.rules).rules ?? [] }
    const result = await ask<SimulateResult>(await io.transport(values.config), 'POST', '/rules/simulate', {
      user: values.user,
      path: values.path,
      ...rules,
    })
    const matched = result.rules.some((rule) => rule.matched)
    if (values.json) {
      io.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
      return matched ? 0 : 1
    }
    if (result.rules.length === 0) io.stdout.write('There are no rules.\n')
    for (const rule of result.rules) {
      io.stdout.write(
        rule.matched
          ? `match     ${rule.rule}${rule.mode === 'shadow' ? ' (shadow: recorded, not sent)' : ''}\n`
          : `no match  ${rule.rule}: ${printable(rule.reason ?? '')}\n`,
      )
      for (const { destination, remote_path, error } of rule.deliveries)
        io.stdout.write(`          → ${destination}: ${error === undefined ? printable(remote_path) : `no name: ${printable(error)}`}\n`)
    }
    return matched ? 0 : 1
  },
}

async function history(
  days: number,
  values: { rules?: string | undefined; json?: boolean | undefined; config?: string | undefined },
  io: CommandIo,
): Promise<number> {
  const rules = values.rules === undefined ? {} : { rules: readStateFile(values.rules).rules ?? [] }
  const result = await ask<HistoryResult>(await io.transport(values.config), 'POST', '/rules/simulate', { days, ...rules })
  if (values.json) {
    io.stdout.write(`${JSON.stringify(result, null, 2)}\n`)
    return 0
  }
  const { counts } = result
  if (values.rules === undefined) {
    for (const { user, path, deliveries } of result.transfers)
      for (const { rule, destination, remote_path } of deliveries)
        io.stdout.write(`${printable(user)} ${printable(path)} → ${destination}: ${printable(remote_path)} (${rule})\n`)
    io.stdout.write(`${counts.matched} of ${counts.looked_at} uploads of ${days} days match.\n`)
  } else {
    const line = (sign: string, { user, path, destination, remote_path, instead_of }: HistoryChange): string =>
      `${sign} ${printable(user)} ${printable(path)} → ${destination}: ${instead_of === null ? '' : `${printable(instead_of)} → `}${printable(remote_path)}\n`
    for (const one of result.added) io.stdout.write(line('+', one))
    for (const one of result.removed) io.stdout.write(line('-', one))
    for (const one of result.renamed) io.stdout.write(line('~', one))
    io.stdout.write(
      `Of ${counts.looked_at} uploads of ${days} days: ${counts.added} newly sent, ${counts.removed} no longer sent, ${counts.renamed} named differently.\n`,
    )
  }
  if (result.truncated) io.stdout.write('There were more; only the newest were looked at.\n')
  return 0
}
