// `backup` and `restore`: one file with database, keys and certificates.
// Must not leave half a backup under its name.
import { createWriteStream, existsSync } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { newSecret, systemClock } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import { formatSize } from '../core/units.ts'
import { checkBackup, restoreBackup } from '../store/backup.ts'
import { type Command, parse, printable } from './command.ts'

export const backup: Command = {
  name: 'backup',
  summary: 'database, keys and certificates as one file',
  usage: `Usage: fileflow backup FILE [--force] [--config FILE]

Works while the gateway runs; FILE (a gzipped tar, mode 0600) is read back and checked before it gets its name.
It holds private keys: keep it as safe as the gateway. Partners' files and keys outside data_dir are not in it.
  --force   replace FILE if it is there`,
  async run(args, io) {
    const { values, positionals } = parse(args, { force: { type: 'boolean' } }, [1, 1])
    const file = resolve(positionals[0]!)
    if (existsSync(file) && !values.force) throw new FileFlowError('resource.exists', `${file} is there already; --force replaces it.`)
    const part = `${file}.${newSecret(6)}.part`
    try {
      const stream = await io.download('/backup', values.config)
      await pipeline(stream, createWriteStream(part, { flags: 'wx', mode: 0o600, flush: true })).catch(refused(part))
      const { files } = await checkBackup(part)
      await rename(part, file)
      io.stdout.write(`${printable(file)}: ${files.length} files, ${formatSize((await stat(file)).size)}, read back and found whole.\n`)
      return 0
    } finally {
      await rm(part, { force: true })
    }
  },
}

const refused =
  (file: string) =>
  (cause: unknown): never => {
    if (cause instanceof FileFlowError) throw cause
    const { code, message } = cause as NodeJS.ErrnoException
    throw new FileFlowError('storage.failed', `${file}: cannot be written (${code ?? message}).`, { cause })
  }

export const restore: Command = {
  name: 'restore',
  summary: 'put a backup in place',
  usage: `Usage: fileflow restore FILE [--force] [--config FILE]

Checks all of FILE, then puts it in data_dir. Not while the gateway runs.
  --force   where data is already: it is moved aside to data_dir/before-restore-…, not deleted`,
  async run(args, io) {
    const { values, positionals } = parse(args, { force: { type: 'boolean' } }, [1, 1])
    const { config } = io.loadConfig(values.config)
    const { manifest, aside } = await restoreBackup(resolve(positionals[0]!), config.data_dir, values.force === true, systemClock.now())
    io.stdout.write(`Restored ${manifest.files.length} files as of ${printable(manifest.made_at)} to ${printable(config.data_dir)}.\n`)
    if (aside !== null) io.stdout.write(`What was there before is in ${printable(aside)}.\n`)
    return 0
  },
}
