// `deliveries`, `retry` and `cancel`: the queue from the command line.
// Must not change a state itself.

import { FileFlowError } from '../core/errors.ts'
import { DELIVERY_STATES, type DeliveryView } from '../core/movement-views.ts'
import { ask, askAll } from './api-client.ts'
import { type Command, parse, printable, table, UsageError } from './command.ts'

export const deliveries: Command = {
  name: 'deliveries',
  summary: 'the delivery queue',
  usage: `Usage: fileflow deliveries [--state STATE] [--limit N] [--json] [--config FILE]

STATE is one of ${DELIVERY_STATES.join(', ')}. Newest first; at most 100 unless --limit says otherwise.`,
  async run(args, io) {
    const { values } = parse(
      args,
      { state: { type: 'string' }, json: { type: 'boolean' }, limit: { type: 'string', default: '100' } },
      [0, 0],
    )
    if (values.state !== undefined) checkState(values.state)
    if (!/^[1-9]\d{0,8}$/.test(values.limit)) throw new UsageError('--limit: a number from 1')
    const found: DeliveryView[] = []
    const path = `/deliveries${values.state === undefined ? '' : `?state=${values.state}`}`
    for await (const delivery of askAll<DeliveryView>(await io.transport(values.config), path)) {
      found.push(delivery)
      if (found.length >= Number(values.limit)) break
    }
    if (values.json) io.stdout.write(`${JSON.stringify(found, null, 2)}\n`)
    else if (found.length === 0) io.stdout.write(values.state ? `No deliveries are ${values.state}.\n` : 'No deliveries yet.\n')
    else
      io.stdout.write(
        table(
          ['DELIVERY', 'STATE', 'TRIES', 'USER', 'FILE', 'TO', 'REMOTE PATH', 'ERROR'],
          found.map((d) => [
            d.id,
            d.state,
            d.attempts,
            d.user,
            d.path,
            d.destination,
            d.receipt?.remote_path ?? d.remote_path,
            d.state === 'delivered' ? '' : (d.error?.message ?? ''),
          ]),
        ),
      )
    return 0
  },
}

const CHOICE = { state: { type: 'string' }, rule: { type: 'string' }, destination: { type: 'string' } } as const

interface Choice {
  readonly state?: string
  readonly rule?: string
  readonly destination?: string
}

/** What the API is asked to choose by; null when nothing was named: then none is meant, not all. @throws UsageError */
function choiceOf({ state, rule, destination }: Choice): Choice | null {
  if (state !== undefined) checkState(state)
  const named = Object.entries({ state, rule, destination }).filter(([, value]) => value !== undefined)
  return named.length === 0 ? null : Object.fromEntries(named)
}

function checkState(state: string): void {
  if (!(DELIVERY_STATES as readonly string[]).includes(state)) throw new UsageError(`--state: allowed: ${DELIVERY_STATES.join(', ')}`)
}

export const retry: Command = {
  name: 'retry',
  summary: 'try deliveries again now',
  usage: `Usage: fileflow retry ID… [--config FILE]
       fileflow retry --all-dead [--config FILE]
       fileflow retry [--state STATE] [--rule NAME] [--destination NAME] [--config FILE]

With --rule or --destination: all dead ones that fit, or all that are in --state (dead, cancelled, retrying or pending).`,
  async run(args, io) {
    const { values, positionals } = parse(args, { 'all-dead': { type: 'boolean' }, ...CHOICE }, [0, 10_000])
    const chosen = choiceOf(values)
    const ways = [positionals.length > 0, values['all-dead'] === true, chosen !== null].filter(Boolean).length
    if (ways !== 1) throw new UsageError('give IDs, or --all-dead, or what to choose by: --state, --rule, --destination')
    const transport = await io.transport(values.config)
    if (positionals.length === 0) {
      const { retried } = await ask<{ retried: number }>(transport, 'POST', '/deliveries/retry', chosen ?? {})
      io.stdout.write(`${retried} put back.\n`)
      return 0
    }
    let failures = 0
    for (const id of positionals) {
      try {
        const delivery = await ask<DeliveryView>(transport, 'POST', `/deliveries/${encodeURIComponent(id)}/retry`)
        io.stdout.write(`${delivery.id} is ${delivery.state}.\n`)
      } catch (error) {
        if (!(error instanceof FileFlowError)) throw error
        failures++
        io.stderr.write(`${printable(id)}: ${printable(error.message)}\n`)
      }
    }
    return failures > 0 ? 1 : 0
  },
}

export const cancel: Command = {
  name: 'cancel',
  summary: 'give a delivery up',
  usage: `Usage: fileflow cancel ID [--config FILE]
       fileflow cancel [--state STATE] [--rule NAME] [--destination NAME] [--config FILE]

Without an ID: all that fit and have not ended.`,
  async run(args, io) {
    const { values, positionals } = parse(args, CHOICE, [0, 1])
    const chosen = choiceOf(values)
    if ((chosen !== null) === positionals.length > 0)
      throw new UsageError('give an ID, or what to choose by: --state, --rule, --destination')
    const transport = await io.transport(values.config)
    if (chosen) {
      const { count } = await ask<{ count: number }>(transport, 'POST', '/deliveries/cancel', chosen)
      io.stdout.write(`${count} cancelled.\n`)
      return 0
    }
    const delivery = await ask<DeliveryView>(transport, 'POST', `/deliveries/${encodeURIComponent(positionals[0]!)}/cancel`)
    io.stdout.write(`${delivery.id} is ${delivery.state}.\n`)
    return 0
  },
}
