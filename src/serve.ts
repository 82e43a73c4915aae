// `serve`: the gateway in the foreground, its log on stdout, its life in the hands of signals.
// Must not end the process by itself: it returns an exit code.
import { createWriteStream } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { type Command, parse, UsageError } from './cli/command.ts'
import { collectSeldomAfter } from './core/collector.ts'
import { toErrorRecord } from './core/errors.ts'
import { createLogger, errorFields } from './core/log.ts'
import type { ReloadView } from './core/views.ts'
import { createLogOutput } from './logging/log-output.ts'

const DEFAULT_DRAIN = '30'

export const serve: Command = {
  name: 'serve',
  summary: 'runs the gateway in the foreground',
  usage: `Usage: fileflow serve [--drain SECONDS] [--config FILE]

Logs JSON lines on stdout, readable ones on a terminal.
SIGTERM and SIGINT stop it: transfers in flight may finish for SECONDS (default ${DEFAULT_DRAIN}). A second one stops it at once.
SIGHUP reads the configuration and certificates again without dropping sessions.`,
  async run(args, io) {
    const { values } = parse(args, { drain: { type: 'string', default: DEFAULT_DRAIN } }, [0, 0])
    const drainMs = Number(values.drain) * 1000
    if (!/^\d{1,5}$/.test(String(values.drain))) throw new UsageError('--drain takes seconds')
    const loaded = io.loadConfig(values.config)
    await io.checkFiles(loaded)
    const { config } = loaded
    // no other command needs it
    const { PUBLIC_DIR, startGateway } = await import('./gateway.ts')
    // process.stdout on a pipe is synchronous: a reader that stands still would stop the control thread with it
    const lines = io.isTTY ? io.stdout : createWriteStream('', { fd: 1, autoClose: false })
    const output = createLogOutput({
      log: config.log,
      keepMs: config.retention.logs,
      dataDir: config.data_dir,
      stdout: lines,
      isTTY: io.isTTY,
    })
    const log = createLogger('gateway', (line) => output.write(line))
    for (const warning of loaded.warnings) log.warn('config.warning', warning)
    dieWithLauncher()
    // a reload asked for before the gateway is ready must not end the process, as the signal does by itself
    let reloadNow = (): void => {}
    const early = new Promise<void>((asked) => {
      reloadNow = asked
    })
    process.on('SIGHUP', () => reloadNow())
    try {
      const gateway = await collectSeldomAfter(() =>
        startGateway({
          config,
          loaded,
          output,
          publicDir: PUBLIC_DIR,
          adminPassword: process.env.FILEFLOW_ADMIN_PASSWORD,
          showPassword: (password) =>
            io.stderr.write(
              `\n  The admin page has one account now:\n\n    user      admin\n    password  ${password}\n\n  It is shown this once and kept nowhere. Change it with: npx fileflow admin passwd admin\n\n`,
            ),
        }),
      )
      // kept even if this process is killed one day
      flushCompileCache()
      await new Promise<void>((done) => {
        let asked = false
        const stop = (): void => {
          // a second signal does not wait any more
          gateway.stop(asked ? 0 : drainMs).then(done, (error: unknown) => {
            log.error('stop.failed', 'Stopping failed.', errorFields(error))
            done()
          })
          if (asked) done()
          asked = true
        }
        process.on('SIGTERM', stop)
        process.on('SIGINT', stop)
        reloadNow = () => {
          reload().catch((error: unknown) =>
            log.error('reload.failed', 'The configuration was not changed.', {
              ...toErrorRecord(error),
              error: error instanceof Error ? error.message : String(error),
            }),
          )
        }
        void early.then(reloadNow)
        const reload = async (): Promise<ReloadView> => {
          const next = io.loadConfig(values.config)
          const result = await gateway.reload(next)
          output.setLevel(next.config.log.level)
          output.setRetention(next.config.retention.logs)
          output.reopen()
          return result
        }
        gateway.app.setReload(reload)
      })
      return 0
    } catch (error) {
      log.error('start.failed', error instanceof Error ? error.message : String(error), errorFields(error))
      return 1
    } finally {
      await output.close()
      if (lines !== io.stdout) await new Promise<void>((done) => lines.end(done))
    }
  },
}

/**
 * Under an older Node the process that people start, know and kill is the launcher. It passes on all signals but SIGKILL, so when it is gone without
 * one, this is a SIGKILL for both: a gateway that drained in its place would keep `data_dir` from the next one.
 */
function dieWithLauncher(): void {
  if (process.channel === undefined) return
  const die = (): void => void process.kill(process.pid, 'SIGKILL')
  process.on('disconnect', die)
  if (!process.connected) die()
  process.channel.unref()
}
