// Loaded into tap, has it run test files as plain programs: without the hooks that it has Node read each file through, for coverage, mocks and source maps, which no test
// here uses. That, and reading what was compiled before, is half of what a test file takes to begin.
// Must not change which files tap runs, or how it judges.
import childProcess from 'node:child_process'
import { syncBuiltinESMExports } from 'node:module'
import { fileURLToPath } from 'node:url'

const HOOKS = /^--import=file:.*\/@tapjs\/|^--enable-source-maps$/
/** The gateways' own. */
const COMPILED = fileURLToPath(new URL('../../node_modules/.cache/fileflow', import.meta.url))

const { spawn } = childProcess
childProcess.spawn = (command, args, options) => {
  if (command !== process.execPath) return spawn(command, args, options)
  const { NODE_OPTIONS: _, ...env } = options.env ?? process.env
  return spawn(
    command,
    args.filter((arg) => !HOOKS.test(arg)),
    { ...options, env: { ...env, NODE_COMPILE_CACHE: COMPILED } },
  )
}
syncBuiltinESMExports()
