// What an operator may rely on when the configuration is loaded: where values come from, and that every fault is named with its place.
// Must not start the gateway.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { loadConfig } from '../../src/config/load.ts'

const faultsOf = (act: () => unknown): string[] => {
  try {
    act()
  } catch (error) {
    if ((error as { code?: string }).code !== 'config.invalid') throw error
    return (error as Error).message.split('\n')
  }
  return []
}

test('without a file everything has its default, durations in ms and paths absolute', async (t) => {
  const cwd = t.testdir()
  const { config, sources, file } = loadConfig({ env: {}, cwd })
  t.equal(file, null)
  t.equal(config.ftp.port, 2121)
  t.equal(config.sftp.port, 2222)
  t.equal(config.limits.idle_timeout, 600_000)
  t.equal(config.retention.audit, 400 * 86_400_000)
  t.equal(config.data_dir, join(cwd, 'data'))
  t.equal(config.threads.ftp, 'auto')
  t.ok(Object.values(sources).every((source) => source === 'default'))
})

test('the loaded configuration cannot be changed by anyone', async (t) => {
  const { config } = loadConfig({ env: {}, cwd: t.testdir() })
  t.throws(() => {
    config.ftp.tls.mode = 'off'
  }, TypeError)
  t.throws(() => config.uploads.exclude.push('*'), TypeError)
})

test('config.yaml of the working directory is read, its relative paths seen from its folder, and the environment wins', async (t) => {
  const cwd = t.testdir({
    'config.yaml': 'data_dir: state\nftp: { port: 21, tls: { mode: required } }\nsftp:\nuploads: { settle: 90 }\n',
  })
  const { config, sources, file, warnings } = loadConfig({
    env: { FILEFLOW_FTP_PORT: '2100', FILEFLOW_SFTP_HOST_KEYS: 'a, /etc/b', FILEFLOW_THREADS_SFTP: '3', FILEFLOW_FTP_ACTIVE: 'yes' },
    cwd,
  })
  t.equal(file, join(cwd, 'config.yaml'))
  t.equal(config.data_dir, join(cwd, 'state'))
  t.equal(config.ftp.port, 2100)
  t.equal(config.ftp.tls.mode, 'required')
  t.equal(config.ftp.active, true)
  t.equal(config.uploads.settle, 90_000)
  t.equal(config.threads.sftp, 3)
  t.same(config.sftp.host_keys, [join(cwd, 'a'), '/etc/b'])
  t.match(sources, { 'ftp.port': 'environment', 'ftp.tls.mode': 'file', 'sftp.port': 'default' })
  t.match(warnings, [/storage_root is not/])
})

test('--config wins over FILEFLOW_CONFIG, and a file that is asked for must be there', async (t) => {
  const cwd = t.testdir({ 'a.yaml': 'sftp: { port: 1 }', b: { 'b.yaml': 'data_dir: x' } })
  t.equal(loadConfig({ file: 'a.yaml', env: { FILEFLOW_CONFIG: 'b/b.yaml' }, cwd }).config.sftp.port, 1)
  t.equal(loadConfig({ env: { FILEFLOW_CONFIG: 'b/b.yaml' }, cwd }).config.data_dir, join(cwd, 'b/x'))
  t.match(
    faultsOf(() => loadConfig({ file: 'none.yaml', env: {}, cwd })),
    [/^none\.yaml: cannot be read \(ENOENT\)$/],
  )
})

test('every fault is named at once, with file, line, column, key and what is allowed', async (t) => {
  const cwd = t.testdir({
    'config.yaml': [
      'ftp:',
      '  prot: 21',
      '  passive: { ports: 30100-30000 }',
      '  tls: 5',
      'uploads:',
      '  settle: soon',
      'limits: { idle_timeout: 30d }',
      'admin: { trusted_proxies: [10.0.0.0/99], port: "8082" }',
      'log: { level: loud }',
      '__proto__: 1',
      'defence: { ban_growth: 0.5 }',
    ].join('\n'),
  })
  const faults = faultsOf(() => loadConfig({ env: { FILEFLOW_SFTP_PORT: 'ssh', FILEFLOW_SFTP_HOTS: 'x' }, cwd }))
  for (const expected of [
    /^config\.yaml:2:3 ftp\.prot: unknown key; did you mean port\? known here: enabled, host, port/,
    /^config\.yaml:3:14 ftp\.passive\.ports: allowed: first-last/,
    /^config\.yaml:4:3 ftp\.tls: allowed: the keys mode, /,
    /^config\.yaml:6:3 uploads\.settle: allowed: a duration such as 5s.*it is "soon"/,
    /^config\.yaml:7:11 limits\.idle_timeout: allowed: 1ms to 24d/,
    /^config\.yaml:8:10 admin\.trusted_proxies: allowed: an address or a network/,
    /^config\.yaml:8:42 admin\.port: allowed: a whole number from 0 to 65535 \(it is "8082"\)/,
    /^config\.yaml:9:8 log\.level: allowed: debug, info, warn, error \(it is "loud"\)/,
    /^config\.yaml:10:1 __proto__: unknown key/,
    /^config\.yaml:11:12 defence\.ban_growth: allowed: a number from 1 to 100/,
    /^FILEFLOW_SFTP_PORT: allowed: a whole number from 0 to 65535 \(it is "ssh"\)/,
    /^FILEFLOW_SFTP_HOTS: unknown variable; did you mean FILEFLOW_SFTP_HOST\?/,
  ]) {
    t.ok(
      faults.some((fault) => expected.test(fault)),
      String(expected),
      { faults },
    )
  }
  t.equal(faults.length, 12)
})

for (const [name, text, expected] of [
  ['a certificate without its key', 'ftp: { tls: { cert: a.pem } }', /ftp\.tls\.key: is missing/],
  ['a key without its certificate', 'admin: { tls: { key: a.pem } }', /admin\.tls\.cert: is missing/],
  ['an implicit port with TLS off', 'ftp: { tls: { mode: off, implicit_port: 990 } }', /ftp\.tls\.implicit_port: needs TLS/],
  ['a first delay above the longest', 'forwarding: { retry: { first_delay: 1h } }', /forwarding\.retry\.first_delay: is longer than/],
  ['a first ban above the longest', 'defence: { ban: 48h }', /defence\.ban: is longer than defence\.ban_max/],
  ['two listeners on one port', 'sftp: { port: 2121 }', /:1:\d+ sftp\.port: is port 2121, which ftp\.port has too/],
  ['a listener on the port that another has by default', 'ftp: { port: 2222 }', /:1:\d+ ftp\.port: is port 2222, which sftp\.port has too/],
  ['a listener inside the passive range', 'sftp: { port: 30005 }', /:1:\d+ sftp\.port: is port 30005, which ftp\.passive\.ports holds/],
  ['a passive range over a listener', 'ftp: { passive: { ports: 2000-3000 } }', /:1:\d+ ftp\.passive\.ports: holds port 2121 of ftp\.port/],
  ['an address that is none', 'ftp: { host: 300.1.1.1 }', /ftp\.host: allowed: an IP address or a host name/],
  ['a pattern that never ends', 'uploads: { exclude: ["[a"] }', /uploads\.exclude: pattern \[a: a \[ without/],
  ['a key that is there twice', 'ftp: {}\nftp: {}', /^config\.yaml:2:1 this key is there twice/],
  ['a list instead of keys', '- a', /the file holds no keys/],
  ['text that is no YAML', 'a: [', /^config\.yaml:\d+:\d+ /],
  ['two documents', 'log: {}\n---\nlog: {}', /^config\.yaml:2:1 /],
] as const) {
  test(`${name} stops the start and is named`, async (t) => {
    const cwd = t.testdir({ 'config.yaml': text })
    t.match(faultsOf(() => loadConfig({ env: {}, cwd })).join('\n'), expected)
  })
}

test('a file of a few bytes cannot fill the memory by aliases', async (t) => {
  const levels = Array.from({ length: 12 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(', ')}]`)
  const cwd = t.testdir({ 'config.yaml': ['a0: &a0 [1, 1]', ...levels].join('\n') })
  t.match(
    faultsOf(() => loadConfig({ env: {}, cwd })),
    [/Excessive alias count/],
  )
})

test('port 0 may stand at every listener, and different addresses may share a port', async (t) => {
  const cwd = t.testdir()
  writeFileSync(join(cwd, 'config.yaml'), 'ftp: { port: 0 }\nsftp: { port: 0 }\nadmin: { port: 0 }')
  t.doesNotThrow(() => loadConfig({ env: {}, cwd }))
  writeFileSync(join(cwd, 'config.yaml'), 'ftp: { host: 127.0.0.2, port: 22 }\nsftp: { host: 127.0.0.1, port: 22 }')
  t.doesNotThrow(() => loadConfig({ env: {}, cwd }))
})

test('an admin page in clear on the network is warned of', async (t) => {
  t.match(loadConfig({ env: { FILEFLOW_ADMIN_HOST: '0.0.0.0' }, cwd: t.testdir() }).warnings, [
    /admin\.host is 0\.0\.0\.0 without admin\.tls/,
  ])
})
