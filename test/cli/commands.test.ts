// What the commands promise to operators and scripts, over a control plane in memory.
// Must not look inside a command.
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { type Test, test } from 'tap'
import { createAdminServer } from '../../src/admin/server.ts'
import { reachGateway, socketTransport, type Transport } from '../../src/cli/api-client.ts'
import { type CommandIo, runCommand } from '../../src/cli/command.ts'
import { COMMANDS } from '../../src/cli/commands.ts'
import { loadConfig } from '../../src/config/load.ts'
import { socketPath } from '../../src/config/socket-path.ts'
import { createLogger } from '../../src/core/log.ts'
import { busyDay, fakeControlPlane, receiptKey } from '../admin/fake-control-plane.ts'

async function console(t: Test) {
  const control = fakeControlPlane(busyDay(Date.parse('2026-11-23T12:00:00Z')))
  const server = await createAdminServer({
    config: { host: '127.0.0.1', port: 0, trusted_proxies: [] },
    control,
    log: createLogger('admin', () => {}),
    publicDir: '/nowhere',
    tls: null,
  })
  t.teardown(() => server.close())
  const folder = mkdtempSync(join(tmpdir(), 'ff-cli-'))
  const bodies: unknown[] = []
  const inject: Transport = async (method, path, body) => {
    bodies.push(body)
    const reply = await server.console.inject({ method, url: `/api/v1${path}`, ...(body === undefined ? {} : { payload: body as object }) })
    return { status: reply.statusCode, body: reply.body === '' ? null : reply.json() }
  }
  const run = async (argv: string[], stdin = '') => {
    const stdout = new PassThrough()
    const stderr = new PassThrough()
    const io: CommandIo = {
      stdin: Readable.from([stdin]),
      stdout,
      stderr,
      isTTY: false,
      transport: async () => inject,
      download: async (path) => Readable.from([(await server.console.inject(`/api/v1${path}`)).rawPayload]),
      loadConfig: (file) => loadConfig({ file, env: {}, cwd: folder }),
      checkFiles: async () => {},
    }
    const code = await runCommand(COMMANDS, argv, io)
    return { code, out: String(stdout.read() ?? ''), err: String(stderr.read() ?? '') }
  }
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  return { control, server, run, file, bodies, folder, inject }
}

test('every command explains itself', async (t) => {
  const { run } = await console(t)
  t.match(await run(['--help']), { code: 0, out: /apply .*state file/ })
  t.match(await run(['--version']), { code: 0, out: /^fileflow \d+\.\d+\.\d+\n$/ })
  for (const { name } of COMMANDS) t.match(await run([name, '--help']), { code: 0, out: new RegExp(`^Usage: fileflow ${name}`) })
})

test('bad usage ends with 2 and shows the usage', async (t) => {
  const { run } = await console(t)
  for (const argv of [
    ['nonsense'],
    ['apply'],
    ['apply', 'a', 'b'],
    ['status', '--colour'],
    ['user'],
    ['user', 'fire', 'x'],
    ['retry'],
    ['retry', '--all-dead', '--state', 'dead'],
    ['retry', 'd1', '--rule', 'x'],
    ['retry', '--state', 'lost'],
    ['cancel'],
    ['cancel', 'd1', '--state', 'pending'],
    ['cancel', '--state', 'lost'],
    ['deliveries', '--state', 'lost'],
    ['simulate', '--user', 'a'],
    ['audit'],
  ]) {
    const { code, err } = await run(argv)
    t.equal(code, 2, argv.join(' '))
    t.match(err, /Usage: fileflow/)
  }
})

test('check says all is well, or names file, line and key', async (t) => {
  const { run, file } = await console(t)
  t.match(await run(['check']), { code: 0, out: /ok/ })
  t.match(await run(['check', '--config', file('bad.yaml', 'ftp:\n  prot: 21\n')]), { code: 2, err: /bad\.yaml:2:3 ftp\.prot/ })
})

test('apply shows what it creates', async (t) => {
  const { run, file, control } = await console(t)
  const state = file('state.yaml', 'users:\n  - username: customer1\n    password: correct horse battery\n')
  t.match(await run(['apply', state, '--dry-run']), { code: 0, out: /^\+ user customer1\n1 to create.*Nothing was changed/ })
  t.match(await run(['apply', state]), { code: 0, out: /Done: 1 created/ })
  t.same(
    control.acts.map((a) => a.verb),
    ['state.dry-run', 'state.apply'],
  )
})

test('apply names file, line and key of every fault, and does nothing', async (t) => {
  const { run, file, control } = await console(t)
  const state = file('state.yaml', 'users:\n  - username: a\n    colour: red\n  - enabled: true\nrules:\n  - name: x\n    deliver: []\n')
  const { code, err } = await run(['apply', state])
  t.equal(code, 2)
  t.match(err, /state\.yaml:3:5 users\.0\.colour: unknown key/)
  t.match(err, /state\.yaml:4:5 users\.1\.username: is missing/)
  t.match(await run(['apply', file('broken.yaml', 'users: [\n')]), { code: 2, err: /broken\.yaml:\d+:\d+/ })
  t.match(await run(['apply', '/no/such/file']), { code: 2, err: /ENOENT/ })
  t.equal(control.acts.length, 0)
})

test('a state file may name the files of certificates and keys, seen from its own folder', async (t) => {
  const { run, file, bodies } = await console(t)
  file('ca.pem', '-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n')
  file('id', '-----BEGIN OPENSSH PRIVATE KEY-----\nQUJD\n-----END OPENSSH PRIVATE KEY-----\n')
  const destinations = (ca: string, key: string) =>
    `destinations:\n  - { name: a, type: ftps, host: h, username: u, tls: { ca: ${ca} } }\n  - { name: b, type: sftp, host: h, username: u, host_keys: [insecure], private_key: ${key} }\n`
  t.match(await run(['apply', file('state.yaml', destinations('ca.pem', './id'))]), { code: 0 })
  t.match(bodies.at(-1), {
    destinations: [{ tls: { ca: /^-----BEGIN CERT.*END CERTIFICATE-----\n$/s } }, { private_key: /^-----BEGIN OPENSSH/ }],
  })
  const missing = await run(['apply', file('missing.yaml', destinations('none.pem', '/no/such/key'))])
  t.equal(missing.code, 2)
  t.match(missing.err, /missing\.yaml:2:\d+ destinations\.0\.tls\.ca: PEM text, or a file: none\.pem cannot be read \(ENOENT\)/)
  t.match(missing.err, /missing\.yaml:3:\d+ destinations\.1\.private_key: .*ENOENT/)
})

test('a password comes from stdin, never from an argument', async (t) => {
  const { run, bodies, control } = await console(t)
  t.match(await run(['user', 'add', 'customer1', '--password-stdin'], 'correct horse\n'), { code: 0, out: /added/ })
  t.match(bodies.at(-1), { username: 'customer1', password: 'correct horse' })
  t.match(await run(['user', 'passwd', 'customer1', '--password-stdin'], 'new one\r\n'), { code: 0 })
  t.same(bodies.at(-1), { password: 'new one' })
  t.match(await run(['user', 'passwd', 'customer1']), { code: 2, err: /--password-stdin/ })
  t.match(await run(['user', 'passwd', 'customer1', '--password', 'x']), { code: 2 })
  t.match(await run(['admin', 'add', 'bob', '--role', 'operator', '--password-stdin'], 'long enough\n'), { code: 0 })
  t.match(control.acts.at(-1), { verb: 'admin.create', object: 'bob', actor: { name: 'console' } })
})

test('users are listed, disabled and removed; one that is not there ends with 1', async (t) => {
  const { run, control } = await console(t)
  t.match(await run(['user', 'list']), { out: /No users yet/ })
  await run(['user', 'add', 'customer1', '--password-stdin'], 'pw-of-customer\n')
  t.match(await run(['user', 'list']), { out: /customer1/ })
  t.match(await run(['user', 'disable', 'customer1']), { code: 0, out: /disabled/ })
  t.match(await run(['user', 'remove', 'customer1']), { code: 0 })
  t.match(await run(['user', 'remove', 'customer1']), { code: 1, err: /no user customer1/ })
  t.equal(control.acts.at(-1)?.verb, 'user.remove')
})

test('status is a table for people and JSON for scripts', async (t) => {
  const { run } = await console(t)
  const { code, out } = await run(['status'])
  t.equal(code, 0)
  t.match(out, /SERVICE +STATE +PORT/)
  t.match(out, /sftp +running +2222/)
  t.match(out, /1 pending, 0 running, 1 retrying, 1 dead/)
  t.match(JSON.parse((await run(['status', '--json'])).out), { services: Array, sessions: Array, stats: { queue: { dead: 1 } } })
})

test('hostile file names do not reach the terminal as they are', async (t) => {
  const { run } = await console(t)
  const { out } = await run(['deliveries', '--state', 'dead'])
  t.match(out, /\\u202egpj\.exe\\u0007/)
  t.notMatch(out, /[\u202e\u0007]/)
})

test('deliveries are retried one by one or all the dead at once, and cancelled', async (t) => {
  const { run, control } = await console(t)
  t.match(await run(['retry', 'd7', 'd8']), { code: 1, out: /d7 is pending/, err: /d8: The delivery is delivered/ })
  t.match(await run(['cancel', 'd7']), { code: 0, out: /d7 is cancelled/ })
  t.match(await run(['retry', '--all-dead']), { code: 0, out: /0 put back/ })
  t.equal(control.data.deliveries.find((d) => d.id === 'd7')?.state, 'cancelled')
})

test('deliveries are retried and cancelled by state, rule and destination: just those that the API is asked for', async (t) => {
  const { run, bodies } = await console(t)
  t.match(await run(['retry', '--destination', 'hq', '--state', 'cancelled']), { code: 0, out: /\d+ put back/ })
  t.match(await run(['cancel', '--rule', 'r', '--destination', 'hq']), { code: 0, out: /\d+ cancelled/ })
  t.same(bodies, [
    { state: 'cancelled', destination: 'hq' },
    { rule: 'r', destination: 'hq' },
  ])
})

test('simulate prints matches and remote names', async (t) => {
  const { run, file } = await console(t)
  const rules = file('rules.yaml', 'rules:\n  - name: r1\n    source: { path: "/in/**" }\n    deliver: [{ to: hq }]\n')
  t.match(await run(['simulate', '--user', 'a', '--path', '/in/x', '--rules', rules]), { code: 0, out: /match +r1\n +→ hq: \/in\/x/ })
  const shadow = file('shadow.yaml', 'rules:\n  - { name: r1, source: { path: "/in/**" }, deliver: [{ to: hq }], mode: shadow }\n')
  t.match(await run(['simulate', '--user', 'a', '--path', '/in/x', '--rules', shadow]), { out: /match +r1 \(shadow: recorded, not sent\)/ })
  t.match(await run(['simulate', '--user', 'a', '--path', '/in/x']), { code: 1, out: /no rules/ })
  t.match(await run(['simulate', '--days', '7']), { code: 0, out: /1 of 3 uploads of 7 days match/ })
  t.match(await run(['simulate', '--days', '7', '--rules', rules]), { code: 0, out: /\+ u \/in\/a → hq: a\nOf 3 uploads.* 1 newly sent/ })
  t.match(await run(['simulate', '--days', '0']), { code: 2 })
})

test('a receipt is printed and checked against the gateway’s own key; another key, another text or another form is refused', async (t) => {
  const { run, file } = await console(t)
  const got = await run(['receipt', 'get', 'd8'])
  t.equal(got.code, 0)
  const kept = file('receipt.json', got.out)
  t.match(await run(['receipt', 'verify', kept]), { code: 0, out: /Genuine, signed by SHA256:/ })
  const pem = file('key.pem', (await run(['receipt', 'key'])).out)
  t.match(await run(['receipt', 'verify', kept, '--key', pem]), { code: 0 })
  t.match(await run(['receipt', 'verify', kept, '--key', receiptKey.fingerprint]), { code: 0 })
  t.match(await run(['receipt', 'verify', kept, '--key', `SHA256:${'A'.repeat(43)}=`]), { code: 1, err: /another key/ })
  const forged = file('forged.json', got.out.replace('"size": 5', '"size": 6'))
  t.match(await run(['receipt', 'verify', forged]), { code: 1, err: /not the one that was signed/ })
  t.match(await run(['receipt', 'verify', file('x.json', 'null')]), { code: 1, err: /not a receipt/ })
  t.match(await run(['receipt', 'verify', '/nowhere']), { code: 1, err: /Cannot read/ })
  t.match(await run(['receipt']), { code: 2 })
})

test('export prints YAML; audit verify counts', async (t) => {
  const { run } = await console(t)
  t.match(await run(['export']), { code: 0, out: /users: \[\]/ })
  t.match(await run(['audit', 'verify']), { code: 0, out: /3 rows/ })
})

test('commands find the running gateway by its socket, and do without when none runs', async (t) => {
  const { server, folder, inject, control } = await console(t)
  const openTransport = () => reachGateway(folder, socketTransport, async () => inject)
  t.equal(await openTransport(), inject)
  await server.listenSocket(socketPath(folder))
  const transport = await openTransport()
  t.not(transport, inject)
  t.match(await transport('GET', '/services'), { status: 200, body: { items: Array } })
  t.match(await transport('POST', '/users', { username: 'a' }), { status: 201 })
  t.match(control.acts, [{ verb: 'user.create', actor: { name: 'console' } }])
})
