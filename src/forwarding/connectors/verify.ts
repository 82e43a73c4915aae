// Whether the far side holds what was sent: by size always, by its own hash where it offers one, by reading back when asked to.
// Must not claim a level that was not reached.
import { createHash } from 'node:crypto'
import type { DestinationSpec } from '../../core/destination.ts'
import { FileFlowError } from '../../core/errors.ts'
import type { Verified } from '../connector.ts'
import type { HashAlgorithm, HashMethod, RemoteSession } from './remote-session.ts'
import type { Content } from './spool-source.ts'

export type VerifyLevel = NonNullable<DestinationSpec['verify']>

export interface Proof {
  readonly verified: Verified
  readonly algorithm: HashAlgorithm | null
  /** How that hash was had; null without one. */
  readonly method: HashMethod | null
}

/** The least there is. */
export const BY_SIZE: Proof = { verified: 'size', algorithm: null, method: null }

/**
 * `size` compares sizes; `auto` also the far side's hash where it offers one; `hash` insists, and reads back where there is none; `readback` reads back.
 * @param told the size, where the far side told it already
 * @throws FileFlowError `remote.verify` when the far side holds something else
 */
export async function verifyRemote(
  session: RemoteSession,
  path: string,
  content: Content,
  level: VerifyLevel,
  told: number | null = null,
): Promise<Proof> {
  const size = told ?? (await sizeOf(session, path))
  if (size !== content.size) {
    throw new FileFlowError('remote.verify', `The far side has ${size} bytes of ${content.size}.`)
  }
  if (level === 'size') return BY_SIZE
  if (level !== 'readback' && session.hashAlgorithm) {
    const algorithm = session.hashAlgorithm
    const theirs = await session.hash(path, content.size)
    if (theirs !== null) {
      if (theirs.hex !== (await content.digest(algorithm)))
        throw new FileFlowError('remote.verify', `The far side has another ${algorithm}.`)
      return { verified: 'hash', algorithm, method: theirs.method }
    }
  }
  if (level === 'auto') return BY_SIZE
  await readBack(session, path, content)
  return { verified: 'readback', algorithm: 'sha256', method: 'read-back' }
}

async function sizeOf(session: RemoteSession, path: string): Promise<number> {
  const entry = await session.stat(path)
  if (entry?.kind !== 'file') throw new FileFlowError('remote.verify', 'The far side does not show the file that was sent.')
  return entry.size
}

async function readBack(session: RemoteSession, path: string, content: Content): Promise<void> {
  const hash = createHash('sha256')
  let count = 0
  await session.download(path, (chunk) => {
    count += chunk.length
    if (count > content.size) throw new FileFlowError('remote.verify', 'The far side sends back more than was sent.')
    hash.update(chunk)
  })
  if (count !== content.size || hash.digest('hex') !== (await content.digest('sha256'))) {
    throw new FileFlowError('remote.verify', 'What the far side sends back is not what was sent.')
  }
}

const NOT_IT: ReadonlySet<string> = new Set(['remote.verify', 'remote.denied'])
/** Where size is all that is ever asked of a server, it may not be able to tell more: sending again is always right. */
const NOT_TOLD: ReadonlySet<string> = new Set([...NOT_IT, 'remote.failed'])

/**
 * Whether `path` is this content already, for an earlier attempt without a clear end. The best proof to be had is taken, whatever else is asked for, as a wrong
 * yes loses a file: an older version of the same length (records of a fixed size) may stand there.
 */
export async function findRemote(session: RemoteSession, path: string, content: Content, level: VerifyLevel): Promise<Proof | null> {
  try {
    return await verifyRemote(session, path, content, level === 'readback' ? level : 'hash')
  } catch (error) {
    if (error instanceof FileFlowError && (level === 'size' ? NOT_TOLD : NOT_IT).has(error.code)) return null
    throw error
  }
}
