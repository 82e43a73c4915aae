// The example configuration is the schema, told: the committed file is up to date and holds exactly the defaults.
// Must not compare anything but texts and loaded values.
import { readFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { diffConfig, NEEDS_RESTART } from '../../src/config/diff.ts'
import { renderExample } from '../../src/config/example.ts'
import { CONFIG_KEYS } from '../../src/config/keys.ts'
import { loadConfig } from '../../src/config/load.ts'
import { run } from '../support/run.ts'

const EXAMPLE = join(import.meta.dirname, '../../config.example.yaml')

test('config.example.yaml is what the schema says today', async (t) => {
  t.equal(readFileSync(EXAMPLE, 'utf8'), renderExample())
})

test('config.example.yaml, taken as it is, changes nothing', async (t) => {
  const cwd = t.testdir({ 'example.yaml': readFileSync(EXAMPLE, 'utf8') })
  t.same(loadConfig({ file: 'example.yaml', env: {}, cwd }).config, loadConfig({ env: {}, cwd }).config)
})

test('a reload knows which keys act at once and which wait for a restart', async (t) => {
  const cwd = t.testdir()
  const before = loadConfig({ env: {}, cwd }).config
  const after = loadConfig({ env: { FILEFLOW_SFTP_PORT: '22', FILEFLOW_LIMITS_MAX_SESSIONS: '9', FILEFLOW_LOG_LEVEL: 'warn' }, cwd }).config
  t.same(diffConfig(before, after), { live: ['limits.max_sessions', 'log.level'], restart: ['sftp.port'] })
  t.same(diffConfig(before, before), { live: [], restart: [] })
})

test('every entry of the restart table is a key or a section', async (t) => {
  for (const entry of NEEDS_RESTART)
    t.ok(
      CONFIG_KEYS.some(({ name }) => name === entry || name.startsWith(`${entry}.`)),
      entry,
    )
})

test('commands take the configuration also from a checkout that was never built, and say the same', async (t) => {
  const root = join(import.meta.dirname, '../..')
  const bare = t.testdir({ work: {}, node_modules: t.fixture('symlink', join(root, 'node_modules')) })
  await cp(join(root, 'src'), join(bare, 'src'), { recursive: true })
  await cp(join(root, 'package.json'), join(bare, 'package.json'))
  const env = { ...process.env, FILEFLOW_SFTP_PORT: 'none' }
  const check = (checkout: string) => run(process.execPath, [join(checkout, 'src/launch.mjs'), 'check'], { cwd: join(bare, 'work'), env })
  const [told, again] = [await check(bare), await check(root)]
  t.match(told.stdout + told.stderr, /FILEFLOW_SFTP_PORT/)
  t.same(again, told)
})
