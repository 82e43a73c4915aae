// Gateways that die at a named point, one after the other in one folder: what one test starts after its kill, the next one kills.
// Must not be used beside a gateway of another folder: the point is live for whoever gets there first.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestPoint } from '../../src/core/test-point.ts'
import type { TearsDown } from './far-process.ts'
import { startGateway, type TestGateway } from './gateway.ts'

export interface Killed {
  readonly folder: string
  start(): Promise<TestGateway>
  /** From now on the gateway dies when it gets there; once. */
  arm(point: TestPoint): Promise<void>
}

export async function killed(t: TearsDown, env: NodeJS.ProcessEnv = {}): Promise<Killed> {
  const folder = await mkdtemp(join(tmpdir(), 'fileflow-kill-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const fuse = join(folder, 'fuse')
  return {
    folder,
    start: () => startGateway(t, { folder, env: { ...env, FILEFLOW_TEST_POINT: 'kill', FILEFLOW_TEST_FUSE: fuse } }),
    arm: (point) => writeFile(fuse, point),
  }
}
