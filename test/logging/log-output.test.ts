// What an operator may rely on in the logs: stable fields, no secrets, nothing lost at a close, and no crash whatever the disk does.
// Must not wait for time to pass: the clock is moved by hand.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Writable } from 'node:stream'
import { test } from 'tap'
import { systemClock } from '../../src/core/clock.ts'
import type { LogLine } from '../../src/core/log.ts'
import { createLogOutput, type LogOutputOptions } from '../../src/logging/log-output.ts'

const DAY = 86_400_000
/** The files' own times are the machine's, so the stopped clock begins there. */
const START = Math.floor(systemClock.now() / 1000) * 1000
const line = (event: string, fields: Record<string, unknown> = {}, level: LogLine['level'] = 'info', service = 'ftp'): LogLine => ({
  level,
  service,
  event,
  message: `about ${event}`,
  fields,
})

function setup(dataDir: string, options: Partial<LogOutputOptions> & { file?: string } = {}) {
  let printed = ''
  const stdout = new Writable({
    write(chunk, _, done) {
      printed += chunk
      done()
    },
  })
  let now = START
  const output = createLogOutput({
    log: { level: 'info', file: options.file ?? null },
    keepMs: 14 * DAY,
    dataDir,
    stdout,
    isTTY: false,
    clock: { now: () => now },
    ...options,
  })
  return { output, stdout, printed: () => printed, advance: (ms: number) => (now += ms) }
}

const fileOf = (dataDir: string) => join(dataDir, 'logs/fileflow.log')
const eventsIn = (text: string): string[] =>
  text
    .split('\n')
    .filter(Boolean)
    .map((one) => JSON.parse(one).event)

async function downloaded(output: ReturnType<typeof setup>['output']): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const part of output.download()) parts.push(part)
  return Buffer.concat(parts).toString()
}

test('stdout and the file get the same JSON lines with stable fields', async (t) => {
  const dir = t.testdir()
  const { output, printed } = setup(dir, { file: join(dir, 'own/extra.log') })
  output.write(line('session.opened', { user: 'customer1', level: 'trap', msg: 'trap', n: 100n, '%s': '%d' }))
  await output.close()
  t.same(JSON.parse(printed()), {
    time: new Date(START).toISOString(),
    level: 'info',
    service: 'ftp',
    event: 'session.opened',
    msg: 'about session.opened',
    user: 'customer1',
    level_: 'trap',
    msg_: 'trap',
    n: '100',
    '%s': '%d',
  })
  t.equal(readFileSync(fileOf(dir), 'utf8'), printed())
  t.equal(readFileSync(join(dir, 'own/extra.log'), 'utf8'), printed())
})

test('no password, key, token or cookie gets out, however deep it lies', async (t) => {
  const dir = t.testdir()
  for (const isTTY of [false, true]) {
    const { output, printed } = setup(dir, { isTTY })
    const heard: unknown[] = []
    output.onLine((one) => heard.push(one))
    output.write(
      line('login', {
        password: 'SEKRET',
        passwordHash: 'SEKRET',
        private_key: 'SEKRET',
        passphrase: ['SEKRET'],
        headers: { Authorization: 'Bearer SEKRET', 'Set-Cookie': 'SEKRET' },
        list: [{ token: 'SEKRET', api_secret: { a: 'SEKRET' } }],
        blob: Buffer.from('SEKRET'),
        has_password: true,
      }),
    )
    await output.close()
    const all = printed() + readFileSync(fileOf(dir), 'utf8') + JSON.stringify([heard, output.recent({})])
    t.notMatch(all, 'SEKRET')
    t.match(all, /has_password[^a-z]+true/)
  }
})

test('a line at a terminal is readable, and a hostile file name cannot steer the terminal', async (t) => {
  const { output, printed } = setup(t.testdir(), { isTTY: true })
  output.write(line('upload.completed', { path: '/a\u001b[2J\r\nfake \u202e.exe', size: 3 }))
  await output.close()
  t.match(
    printed(),
    /\d\d:\d\d:\d\d\.000 INFO .*ftp upload\.completed: about upload\.completed path=\/a\\u001b\[2J\\u000d\\u000afake \\u202e\.exe size=3\n$/,
  )
  t.equal(printed().split('\n').length, 2)
})

test('lines below the level are not written; a reload changes the level at once', async (t) => {
  const { output, printed } = setup(t.testdir())
  output.write(line('one', {}, 'debug'))
  output.setLevel('debug')
  output.write(line('two', {}, 'debug'))
  output.setLevel('error')
  output.write(line('three', {}, 'warn'))
  await output.close()
  t.same(eventsIn(printed()), ['two'])
})

test('recent lines come newest first and are found by service, level, text, time and number', async (t) => {
  const { output, advance } = setup(t.testdir())
  output.write(line('a', { path: '/Invoice.pdf' }))
  advance(1000)
  output.write(line('b', {}, 'error', 'sftp'))
  advance(1000)
  output.write(line('c', {}, 'warn'))
  const found = (filter: Parameters<typeof output.recent>[0]) => output.recent(filter).map((one) => one.event)
  t.same(found({}), ['c', 'b', 'a'])
  t.same(found({ service: 'sftp' }), ['b'])
  t.same(found({ level: 'warn' }), ['c', 'b'])
  t.same(found({ q: 'invoice' }), ['a'])
  t.same(found({ since: START + 1000 }), ['c', 'b'])
  t.same(found({ until: START + 1000 }), ['b', 'a'])
  t.same(found({ limit: 1 }), ['c'])
  for (let i = 0; i < 6000; i++) output.write(line(`n${i}`))
  t.equal(output.recent({ limit: 10_000 }).length, 5000, 'memory is bounded')
  t.equal(output.recent({})[0]?.event, 'n5999')
  await output.close()
})

test('a full file is turned, old files go after the retention, and the download has the rest in order', async (t) => {
  const dir = t.testdir()
  const { output, advance } = setup(dir, { maxFileBytes: 300 })
  for (const event of ['a', 'b', 'c', 'd', 'e']) {
    output.write(line(event, { pad: 'x'.repeat(100) }))
    await downloaded(output)
  }
  t.ok(readdirSync(join(dir, 'logs')).length >= 3, 'turned by size')
  t.same(eventsIn(await downloaded(output)), ['a', 'b', 'c', 'd', 'e'])
  const before = readdirSync(join(dir, 'logs')).length
  advance(2 * DAY)
  output.write(line('f'))
  t.same(eventsIn(await downloaded(output)), ['a', 'b', 'c', 'd', 'e', 'f'])
  t.equal(readdirSync(join(dir, 'logs')).length, before + 1, 'turned by age')
  output.setRetention(-100 * 365 * DAY)
  advance(2 * DAY)
  output.write(line('g'))
  t.same(eventsIn(await downloaded(output)), ['g'])
  await output.close()
})

test('a restart goes on in the same file', async (t) => {
  const dir = t.testdir()
  for (const event of ['first', 'second']) {
    const { output } = setup(dir)
    output.write(line(event))
    await output.close()
  }
  t.same(eventsIn(readFileSync(fileOf(dir), 'utf8')), ['first', 'second'])
})

test('a disk that takes no lines costs lines, never the process; the loss is told once it works again', async (t) => {
  const dir = t.testdir({ logs: 'a file where the folder should be' })
  const { output, printed } = setup(dir)
  for (const event of ['a', 'b']) {
    output.write(line(event))
    await downloaded(output).catch(() => {})
  }
  t.same(eventsIn(printed()), ['a', 'log.failed', 'b'], 'told once, on stdout')
  rmSync(join(dir, 'logs'))
  output.write(line('c'))
  await output.close()
  t.ok(eventsIn(readFileSync(fileOf(dir), 'utf8')).includes('c'))
  t.match(printed(), /"event":"log\.recovered".*"lost":3/)
})

test('a device without space (/dev/full) does not stop the log', async (t) => {
  const dir = t.testdir()
  const { output, printed } = setup(dir, { file: '/dev/full' })
  output.write(line('a'))
  await output.close()
  t.match(printed(), /"event":"log\.failed".*ENOSPC/)
  t.ok(eventsIn(readFileSync(fileOf(dir), 'utf8')).includes('a'))
})

test('a closed stdout, a listener that throws and a field that cannot be read do not stop the log', async (t) => {
  const dir = t.testdir()
  const { output, stdout } = setup(dir)
  stdout.destroy(new Error('EPIPE'))
  const circle: Record<string, unknown> = {}
  circle.self = circle
  output.onLine(() => {
    throw new Error('broken')
  })
  output.write(line('a', { circle }))
  output.write(
    line('b', {
      get trap() {
        throw new Error('no')
      },
    }),
  )
  output.write(line('c'))
  await output.close()
  t.same(eventsIn(readFileSync(fileOf(dir), 'utf8')), ['a', 'log.listener_failed', 'log.unwritable', 'c'])
})

test("after an outside rotation and a reload the operator's own file is opened anew", async (t) => {
  const dir = t.testdir()
  const file = join(dir, 'own.log')
  const { output } = setup(dir, { file })
  output.write(line('a'))
  await downloaded(output)
  mkdirSync(dirname(join(dir, 'old/own.log')))
  writeFileSync(join(dir, 'old/own.log'), readFileSync(file))
  rmSync(file)
  output.reopen()
  output.write(line('b'))
  await output.close()
  t.same(eventsIn(readFileSync(file, 'utf8')), ['b'])
})
