// `check`: whether the configuration would start.
// Must not start anything.
import { type Command, parse } from './command.ts'

export const check: Command = {
  name: 'check',
  summary: 'validate the configuration',
  usage: `Usage: fileflow check [--config FILE]

Prints what is wrong with file, line and key, and ends with 2; or says that all is well.`,
  async run(args, io) {
    const { values } = parse(args, {}, [0, 0])
    const loaded = io.loadConfig(values.config)
    await io.checkFiles(loaded)
    for (const warning of loaded.warnings) io.stderr.write(`warning: ${warning}\n`)
    io.stdout.write(`${loaded.file ?? 'built-in defaults'}: ok\n`)
    return 0
  },
}
