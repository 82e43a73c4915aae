#!/usr/bin/env node
// The `fileflow` command on whatever Node is installed: runs main.ts under the pinned Node 24 of node_modules, with what it needs of its environment.
// Must stay plain JavaScript that Node 18 reads, and must not do anything else.
import { spawn } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, readFileSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))
/**
 * For glibc, which reads it at the start of a process only. Left to itself it takes the first 19 MiB that a password hash gives back for the measure of
 * what to keep, in each thread: 140 MB after some thousand files.
 */
const MEMORY = { MALLOC_MMAP_THRESHOLD_: String(4 * 2 ** 20) }
/** Beside src in a checkout; beside the package where it is a dependency. */
const PLACES = ['../node_modules', '../..'].flatMap((folder) => [
  new URL(`${folder}/node-linux-${process.arch}/bin/node`, import.meta.url),
  new URL(`${folder}/.bin/node`, import.meta.url),
])

if (Number(process.versions.node.split('.')[0]) >= 24) {
  // the same process, begun anew; commands are over too soon to need it
  if (process.argv[2] === 'serve' && process.platform === 'linux' && !process.channel && !('MALLOC_MMAP_THRESHOLD_' in process.env)) {
    process.execve?.(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], { ...process.env, ...MEMORY })
  }
  process.argv[1] = MAIN
  // files and password hashes of all threads share one pool: with Node's four, a few syncs would stop everybody
  process.env.UV_THREADPOOL_SIZE ??= '16'
  keepCompiled()
  readTypeboxPacked()
  await import('./main.ts')
} else {
  const node = PLACES.map((place) => fileURLToPath(place)).find((place) => existsSync(place))
  if (node) run(node)
  else {
    console.error(
      `fileflow needs Node 24 (this is ${process.versions.node}), and the one that npm installs with it is not there.\n` +
        `Run "npm ci" in ${fileURLToPath(new URL('..', import.meta.url))} (with optional dependencies), or use Node 24 or newer.`,
    )
    process.exitCode = 1
  }
}

/** Keeps what Node makes of the sources for the next start and for each thread: half the time to ready, 60 MB less. Only below our own installation, where nobody else writes. */
function keepCompiled() {
  const folder = fileURLToPath(new URL('../node_modules/.cache/fileflow', import.meta.url))
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.W_OK)
  } catch {
    // an installation that is read-only starts slower, that is all
    return
  }
  process.env.NODE_COMPILE_CACHE ??= folder
  module.enableCompileCache?.(folder)
}

/** TypeBox is 700 files, a third of a second for each start and each command. The build makes a few of them; where those of this version are missing, it is read as it came. */
function readTypeboxPacked() {
  const manifest = module.findPackageJSON?.('typebox', import.meta.url)
  if (!manifest) return
  const folder = new URL(`../dist/typebox-${JSON.parse(readFileSync(manifest, 'utf8')).version}/`, import.meta.url)
  if (!existsSync(folder)) return
  const places = new Map(
    Object.entries({ typebox: 'index', 'typebox/compile': 'compile', 'typebox/value': 'value' }).map(([name, file]) => [
      name,
      { url: new URL(`${file}.mjs`, folder).href, format: 'module', shortCircuit: true },
    ]),
  )
  module.registerHooks?.({ resolve: (name, context, next) => places.get(name) ?? next(name, context) })
}

/**
 * The IPC channel is there to break: when this process is killed, `serve` notices and stops, too.
 * @param {string} node
 */
function run(node) {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, ...MEMORY },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      // Ctrl-C reaches the whole process group: sent on as well, it would count as a second, impatient one
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  child.on('error', (error) => {
    console.error(`fileflow cannot start ${node}: ${error.message}`)
    process.exitCode = 1
  })
  child.on('exit', (code, signal) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(name)
    if (signal) process.kill(process.pid, signal)
    else process.exitCode = code ?? 1
  })
}
