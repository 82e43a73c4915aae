// Builds tap's test class for the plugins in .taprc, once per installation.
// Must not need anything but Node and the installed packages.
import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'

const mark = 'node_modules/@tapjs/test/test-built/.native'
if (!existsSync(mark)) {
  const built = spawnSync('tap', ['build'], { stdio: 'inherit' })
  if (built.status !== 0) process.exit(built.status ?? 1)
  writeFileSync(mark, '')
}
