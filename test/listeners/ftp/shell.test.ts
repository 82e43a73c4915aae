// What we rely on in ftp-srv 4.6.3 by deep import: a new version that changes it fails here first.
// Must not test our own behaviour.
import { createRequire } from 'node:module'
import { test } from 'tap'
import { RawClient, startFtp } from './support.ts'

const require = createRequire(import.meta.url)

test('the pinned version is the one whose insides are known', (t) => {
  t.equal((require('ftp-srv/package.json') as { version: string }).version, '4.6.3')
  t.end()
})

test('starting the listener leaves the signals of the process alone', async (t) => {
  const count = () => ['SIGTERM', 'SIGINT', 'SIGQUIT'].map((signal) => process.listenerCount(signal))
  const before = count()
  await startFtp(t)
  t.same(count(), before)
})

test('no stock command is left in the registry', async (t) => {
  await startFtp(t)
  const registry = require('ftp-srv/src/commands/registry') as Record<string, { syntax: string; handler: unknown }>
  t.ok(registry.STOR)
  for (const [verb, entry] of Object.entries(registry)) t.notMatch(entry.syntax, /\{\{/, verb)
})

test('a session as FileZilla opens it', async (t) => {
  const { port, calls } = await startFtp(t, { tls: true })
  const client = await RawClient.open(port)
  t.match(await client.ask('AUTH TLS'), /^234 /)
  await client.startTls()
  const expected: [string, RegExp][] = [
    ['USER partner', /^331 /],
    ['PASS secret', /^230 /],
    ['SYST', /^215 UNIX/],
    ['FEAT', /^211-[\s\S]* MLST type\*;size\*;modify\*;perm\*;unique\*;UNIX\.mode\*;\r\n[\s\S]*211 End$/],
    ['CLNT FileZilla', /^200 /],
    ['OPTS UTF8 ON', /^200 /],
    ['PBSZ 0', /^200 /],
    ['PROT P', /^200 /],
    ['OPTS MLST type;perm;size;modify;unix.mode;', /^200 /],
    ['PWD', /^257 "\/" /],
    ['TYPE I', /^200 /],
    ['PASV', /^227 .*\(127,0,0,1,\d+,\d+\)/],
    ['REST 0', /^350 /],
    ['HELP', /^214-/],
    ['HELP STOR', /^214 Syntax: STOR/],
    ['STAT', /^211-/],
    ['STRU R', /^504 /],
    ['MODE Z', /^504 /],
    ['CCC', /^534 /],
    ['QUIT', /^221 /],
  ]
  for (const [command, reply] of expected) t.match(await client.ask(command), reply, command)
  t.same(calls.clients, [''], 'CLNT came after the login')
})
