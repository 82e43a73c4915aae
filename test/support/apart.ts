// One gateway for several tests, as if each had its own: the same users again, with homes and records of that test alone.
// Must not be used where a test counts sessions, log lines, deliveries or starts.
import { join } from 'node:path'
import type { UserSpec } from '../../src/core/user.ts'
import type { TestGateway } from './gateway.ts'

let scenes = 0

/** Gives the users empty homes. @returns the gateway as this test sees it: the homes are below its `files`, its `transfers` began after this */
export async function apart(gateway: TestGateway, users: readonly UserSpec[]): Promise<TestGateway> {
  const scene = `scene${++scenes}`
  await gateway.apply({ users: users.map((user) => ({ ...user, home: `${scene}/${user.username}` })) })
  const since = encodeURIComponent(new Date().toISOString())
  return {
    ...gateway,
    files: join(gateway.files, scene),
    transfers: (query = '') => gateway.transfers(`&since=${since}${query}`),
  }
}
