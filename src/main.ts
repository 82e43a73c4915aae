// The command line: which command, with what it needs; the only process.exit.
// Must not hold any command's behaviour.
import { join } from 'node:path'
import { PassThrough, type Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { AdminServer } from './admin/server.ts'
import { problemOf, reachGateway, socketDownload, socketTransport, type Transport } from './cli/api-client.ts'
import { ensureUiBuilt } from './cli/build-ui.ts'
import { type Command, type CommandIo, runCommand } from './cli/command.ts'
import { COMMANDS } from './cli/commands.ts'
import { type LoadedConfig, loadConfig } from './config/load.ts'
import { createLogger, errorFields } from './core/log.ts'
import { demo } from './demo.ts'
import { createLogOutput } from './logging/log-output.ts'
import { checkFiles, checkFolders } from './preflight.ts'
import { serve } from './serve.ts'
import { lockDataDir } from './store/lock.ts'

const closers: (() => void | Promise<void>)[] = []

/** The API over the database itself, for commands where no gateway runs. Others do not load what it is made of: it is most of what a command takes to begin. */
async function openOffline(loaded: LoadedConfig): Promise<AdminServer> {
  await checkFolders(loaded, process.cwd())
  const [{ createApp }, { createAdminServer }, { PUBLIC_DIR }] = await Promise.all([
    import('./app.ts'),
    import('./admin/server.ts'),
    import('./gateway.ts'),
  ])
  const { config } = loaded
  const unlock = lockDataDir(config.data_dir)
  const silent = new PassThrough().resume()
  const output = createLogOutput({
    log: { level: 'warn', file: null },
    keepMs: config.retention.logs,
    dataDir: config.data_dir,
    stdout: silent,
    isTTY: false,
  })
  const app = await createApp({ config, output })
  const admin = await createAdminServer({ config: config.admin, control: app.control, log: app.log, publicDir: PUBLIC_DIR, tls: null })
  closers.push(async () => {
    await admin.close()
    await app.close()
    await output.close()
    unlock()
  })
  return admin
}

const injected =
  (admin: AdminServer): Transport =>
  async (method, path, body) => {
    const answer = await admin.console.inject({
      method,
      url: `/api/v1${path}`,
      ...(body === undefined ? {} : { payload: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
    return { status: answer.statusCode, body: answer.body === '' ? null : JSON.parse(answer.body) }
  }

async function download(path: string, file?: string): Promise<Readable> {
  const loaded = load(file)
  const offline = async (): Promise<Readable> => {
    const answer = await (await openOffline(loaded)).console.inject({ url: `/api/v1${path}`, payloadAsStream: true })
    if (answer.statusCode === 200) return answer.stream()
    throw problemOf(await text(answer.stream()))
  }
  return reachGateway<Readable>(loaded.config.data_dir, (socket) => socketDownload(socket, path), offline)
}

const buildUi: Command = {
  name: 'build-ui',
  summary: 'builds the admin page if it is missing or older than its sources',
  usage: 'Usage: fileflow build-ui',
  async run(_args, io) {
    const log = createLogger('build', (line) => io.stderr.write(`${line.message}\n`))
    return (await ensureUiBuilt(join(import.meta.dirname, '..'), log)) ? 0 : 1
  },
}

const load: CommandIo['loadConfig'] = (file) => loadConfig({ file, env: process.env, cwd: process.cwd() })
const io: CommandIo = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  isTTY: process.stdin.isTTY === true && process.stdout.isTTY === true,
  loadConfig: load,
  checkFiles: (loaded) => checkFiles(loaded, process.cwd()),
  transport(file) {
    const loaded = load(file)
    return reachGateway(loaded.config.data_dir, socketTransport, async () => injected(await openOffline(loaded)))
  },
  download,
}

process.on('uncaughtException', (error) => {
  process.stderr.write(
    `${JSON.stringify({ level: 'error', service: 'gateway', event: 'crashed', msg: error.message, ...errorFields(error) })}\n`,
  )
  process.exit(1)
})

const code = await runCommand([serve, ...COMMANDS, demo, buildUi], process.argv.slice(2), io)
for (const close of closers.reverse()) await close()
// what was written to a pipe may still be on its way
await Promise.all(
  [process.stdout, process.stderr].map(
    (stream) => new Promise<void>((done) => (stream.writableLength === 0 ? done() : stream.write('', () => done()))),
  ),
)
process.exit(code)
