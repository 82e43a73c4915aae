// `simulate`: which rules would match a file, and why the others do not.
// Must not match by itself.
import type { SimulateResult } from '../core/views.ts'
import { ask } from './api-client.ts'
import { type Command, parse, printable, UsageError } from './command.ts'
import { readStateFile } from './state-document.ts'

export const simulate: Command = {
  name: 'simulate',
  summary: 'which rules would match a file',
  usage: `Usage: fileflow simulate --user USER --path PATH [--rules FILE] [--json] [--config FILE]

PATH is the file as the user sees it (/filescma/a.xml). --rules takes the rules of a state file instead of those in force.
Ends with 1 when no rule matches.`,
  async run(args, io) {
    const { values } = parse(
      args,
      { user: { type: 'string' }, path: { type: 'string' }, rules: { type: 'string' }, json: { type: 'boolean' } },
      [0, 0],
    )
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
      io.stdout.write(rule.matched ? `match     ${rule.rule}\n` : `no match  ${rule.rule}: ${printable(rule.reason ?? '')}\n`)
      for (const { destination, remote_path } of rule.deliveries) io.stdout.write(`          → ${destination}: ${printable(remote_path)}\n`)
    }
    return matched ? 0 : 1
  },
}
