// The example state file is one that `apply` takes: by its schema and by the checks behind it.
// Must not apply it.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { parse } from 'yaml'
import { checkDestination } from '../../src/core/destination-check.ts'
import { isAllowed } from '../../src/core/permission.ts'
import { compileRule } from '../../src/core/rule.ts'
import { stateFileChecker } from '../../src/core/state-file.ts'
import { toPrincipal } from '../../src/core/user.ts'
import { ROOT, toVirtualPath } from '../../src/core/virtual-path.ts'

const FILE = join(import.meta.dirname, '../../examples/first-steps.yaml')

test('examples/first-steps.yaml can be applied, and does what its comments say', async (t) => {
  const state = stateFileChecker.parse(parse(readFileSync(FILE, 'utf8')), 'first-steps.yaml')
  const [customer1, customer2] = state.users!.map((user) => toPrincipal(user, `/srv/${user.username}`))
  t.equal(customer1!.requireTls, true, 'a password never goes in clear')
  const at = (path: string) => toVirtualPath(ROOT, path)
  t.equal(isAllowed(customer2!.permissions, at('/upload/a'), 'upload'), true)
  t.equal(isAllowed(customer2!.permissions, at('/a'), 'upload'), false)
  for (const destination of state.destinations!) t.doesNotThrow(() => checkDestination(destination))
  const rule = compileRule(state.rules![0]!)
  t.same(rule.match({ user: 'customer1', path: at('/outgoing/a/b.txt') }), { matched: true, rest: 'outgoing/a/b.txt' })
  t.equal(rule.match({ user: 'customer2', path: at('/upload/b.txt') }).matched, false)
  const names = state.destinations!.map(({ name }) => name)
  t.ok(state.rules!.every(({ deliver }) => deliver.every(({ to }) => names.includes(to))))
})
