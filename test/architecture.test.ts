// The shape of src/ as ARCHITECTURE tells it: which folder may import which, the doors to dangerous things, and the size of files.
// Must not be loosened for one file: move the code, or change the rule for all and say so in src/README.md.
import { globSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { test } from 'tap'

const SRC = join(import.meta.dirname, '../src')

/** Imports go to a lower step, or stay in the folder. */
const STEPS: Record<string, number> = {
  core: 0,
  config: 1,
  store: 1,
  logging: 1,
  ssh: 1,
  accounts: 2,
  files: 2,
  forwarding: 3,
  watching: 3,
  intake: 4,
  gatekeeper: 5,
  listeners: 5,
  admin: 5,
  cli: 5,
  'version.ts': 0,
  'preflight.ts': 6,
  'services.ts': 6,
  'control.ts': 6,
  'app.ts': 7,
  'gateway.ts': 8,
  'serve.ts': 9,
  'demo.ts': 9,
  'main.ts': 10,
}
const SAME_STEP = [['listeners', 'gatekeeper']]

const WORKER_CODE = /^(listeners|files|watching|ssh|forwarding\/connectors)\//
const CONTROL_ONLY = /^(store|accounts|admin)\//
/** 25 MB in each thread that loads it. What a worker is sent was checked before. */
const SCHEMA_LIBRARY = /^typebox($|\/)/

/** A package, and the only files that may import it. */
const PACKAGE_DOORS: { package: RegExp; door: RegExp; most?: number }[] = [
  { package: /^better-sqlite3($|\/)/, door: /^store\// },
  { package: /^ssh2($|\/)/, door: /^(listeners\/sftp\/|listeners\/credentials\.ts$|forwarding\/connectors\/|accounts\/)/ },
  { package: /^ftp-srv($|\/)/, door: /^listeners\/ftp\//, most: 1 },
  // partner files are touched in src/files alone; the others open what is named here and nothing of a partner's
  {
    package: /^(node:)?fs($|\/)/,
    door: /^(files\/|watching\/|store\/|config\/|logging\/|cli\/|admin\/(pages|server|stats)\.ts$|listeners\/credentials\.ts$|forwarding\/connectors\/(local|spool-source)\.ts$|core\/test-point\.ts$|(app|gateway|preflight|serve|demo|version)\.ts$)/,
  },
  { package: /^(fastify|fastify-plugin|@fastify\/.*)($|\/)/, door: /^admin\// },
]

const CODE_DOORS = [
  { what: 'process.exit', code: /\bprocess\.exit\(/, door: /^main\.ts$/ },
  { what: 'the present time', code: /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b/, door: /^core\/clock\.ts$/ },
  {
    what: 'chance',
    code: /\bMath\.random\b|\brandom(Bytes|Int|UUID|FillSync|Fill)\b/,
    door: /^(core\/clock|ssh\/aes-gcm)\.ts$/,
  },
]

interface Import {
  readonly from: string
  readonly typeOnly: boolean
}

interface SourceFile {
  /** Below src/, `core/clock.ts`. */
  readonly path: string
  readonly text: string
  /** Without comments. */
  readonly code: string
  /** Own files, below src/. */
  readonly own: readonly Import[]
  readonly packages: readonly string[]
  /** Those of them that are there at run time. */
  readonly loads: readonly string[]
}

const IMPORT = /\b(?:import|export)\s+(type\s+)?(?:[^'";]*?\bfrom\s*)?['"]([^'"]+)['"]|\b(?:import|require)\(\s*['"]([^'"]+)['"]\s*\)/g

function sourceFile(path: string, text: string): SourceFile {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/ .*$/gm, '')
  const all = [...code.matchAll(IMPORT)].map(([, type, from, dynamic]) => ({ from: from ?? dynamic!, typeOnly: type !== undefined }))
  const own = all.filter(({ from }) => from.startsWith('.')).map((one) => ({ ...one, from: posix.join(posix.dirname(path), one.from) }))
  const packages = all.filter(({ from }) => !from.startsWith('.'))
  return {
    ...{ path, text, code, own },
    packages: packages.map(({ from }) => from),
    loads: packages.filter(({ typeOnly }) => !typeOnly).map(({ from }) => from),
  }
}

const folderOf = (path: string): string => path.split('/')[0]!

function wrongDirections(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, own }) =>
    own
      .filter(({ from }) => {
        const [here, there] = [folderOf(path), folderOf(from)]
        if (here === there || SAME_STEP.some(([a, b]) => a === here && b === there)) return false
        return !(STEPS[here]! > STEPS[there]!)
      })
      .map(({ from }) => `${path} imports ${from}`),
  )
}

/** Chains of imports by which worker code would load what only the control plane may hold, or needs. Types are gone at run time, but may not be named directly either. */
function controlPlaneInWorkers(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const found: string[] = []
  for (const worker of files.filter(({ path }) => WORKER_CODE.test(path))) {
    for (const { from } of worker.own) if (CONTROL_ONLY.test(from)) found.push(`${worker.path} → ${from}`)
    const seen = new Set<string>()
    const walk = (path: string, chain: readonly string[]): void => {
      if (seen.has(path)) return
      seen.add(path)
      if (CONTROL_ONLY.test(path)) {
        if (chain.length > 1) found.push([...chain, path].join(' → '))
        return
      }
      const file = byPath.get(path)
      if (file?.loads.some((name) => SCHEMA_LIBRARY.test(name))) found.push([...chain, path, 'typebox'].join(' → '))
      for (const { from, typeOnly } of file?.own ?? []) if (!typeOnly) walk(from, [...chain, path])
    }
    walk(worker.path, [])
  }
  return found
}

function openDoors(files: readonly SourceFile[]): string[] {
  const found: string[] = []
  for (const { package: wanted, door, most } of PACKAGE_DOORS) {
    const users = files.filter(({ packages }) => packages.some((name) => wanted.test(name))).map(({ path }) => path)
    found.push(...users.filter((path) => !door.test(path)).map((path) => `${path} imports a package matching ${wanted.source}`))
    if (most !== undefined && users.length > most) found.push(`more than ${most} file imports ${wanted.source}: ${users.join(', ')}`)
  }
  for (const { what, code, door } of CODE_DOORS) {
    found.push(...files.filter((file) => code.test(file.code) && !door.test(file.path)).map((file) => `${file.path} uses ${what}`))
  }
  return found
}

const files = globSync('**/*.ts', { cwd: SRC }).map((path) => sourceFile(path, readFileSync(join(SRC, path), 'utf8')))

test('every folder of src has its step', async (t) => {
  t.ok(files.length > 20)
  t.same(
    files.filter(({ path }) => STEPS[folderOf(path)] === undefined).map(({ path }) => path),
    [],
  )
})

test('imports run one way', async (t) => {
  t.same(wrongDirections(files), [])
})

test('worker code reaches neither the database nor the accounts nor the admin pages, and loads no schema library', async (t) => {
  t.same(controlPlaneInWorkers(files), [])
})

test('dangerous things have one door each', async (t) => {
  t.same(openDoors(files), [])
})

test('every file says its duty and its limit in its first two lines', async (t) => {
  t.same(
    files.filter(({ text }) => !/^\/\/ \S.*\n\/\/ \S.*\n/.test(text)).map(({ path }) => path),
    [],
  )
})

test('no file is longer than 400 lines', async (t) => {
  t.same(
    files.filter(({ text }) => text.split('\n').length > 401).map(({ path, text }) => `${path}: ${text.split('\n').length - 1}`),
    [],
  )
})

test('nothing is left to do without a reason', async (t) => {
  t.same(
    files.filter(({ text }) => /\b(TODO|FIXME|XXX)\b(?!\W{1,3}\w.{10,})/.test(text)).map(({ path }) => path),
    [],
  )
})

test('the rules find what they forbid', async (t) => {
  const made = [
    sourceFile('core/a.ts', "import { x } from '../config/b.ts'\nconst t = Date.now()"),
    sourceFile('listeners/sftp/s.ts', "import { y } from '../../gatekeeper/g.ts'\nimport ssh2 from 'ssh2'"),
    sourceFile('gatekeeper/g.ts', "import {\n  z,\n} from '../accounts/u.ts'\nimport 'ssh2/lib/x.js'\nconst f = require('ftp-srv')"),
    sourceFile('accounts/u.ts', "// process.exit(1) in a comment\nexport type { Q } from '../store/d.ts'"),
    sourceFile('admin/r.ts', "const later = await import('../cli/c.ts')\nprocess.exit(1)"),
    sourceFile('files/f.ts', "import type { S } from '../store/d.ts'\nimport type { T } from 'typebox'\nimport { c } from '../core/c.ts'"),
    sourceFile('core/c.ts', "import Type, { type Static } from 'typebox'"),
  ]
  t.same(wrongDirections(made), ['core/a.ts imports config/b.ts', 'admin/r.ts imports cli/c.ts'])
  t.same(controlPlaneInWorkers(made), [
    'listeners/sftp/s.ts → gatekeeper/g.ts → accounts/u.ts',
    'files/f.ts → store/d.ts',
    'files/f.ts → core/c.ts → typebox',
  ])
  t.same(openDoors(made), [
    'gatekeeper/g.ts imports a package matching ^ssh2($|\\/)',
    'gatekeeper/g.ts imports a package matching ^ftp-srv($|\\/)',
    'admin/r.ts uses process.exit',
    'core/a.ts uses the present time',
  ])
})
