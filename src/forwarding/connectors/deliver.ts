// The one order in which a file reaches a far side: look, temporary name, verify, rename. The same for every protocol.
// Must not show a partial file under its final name, nor send twice what can be found.
import { ERRORS, FileFlowError } from '../../core/errors.ts'
import type { Delivery, Receipt } from '../connector.ts'
import { namesLike, type Places, placesOf } from './remote-path.ts'
import type { RemoteSession } from './remote-session.ts'
import { resumeAt } from './resume.ts'
import { contentOf, openSpool } from './spool-source.ts'
import { BY_SIZE, findRemote, type Proof, type VerifyLevel, verifyRemote } from './verify.ts'

/** How far an attempt came; the caller reads it when the attempt fails. */
export interface Progress {
  /** The far side may hold the file under a final name. */
  unclear: boolean
  /** The temporary file that may lie at the far side. */
  temp: string | null
  /** The far side takes the content: before that, a connection that turns out dead has cost nothing. */
  begun: boolean
}

export interface DeliverOptions {
  /** null: where the login begins. */
  readonly basePath: string | null
  readonly level: VerifyLevel
}

/** @throws FileFlowError `remote.*`, `spool.*`, `path.invalid`; `progress` tells what may be left behind */
export async function deliver(session: RemoteSession, delivery: Delivery, options: DeliverOptions, progress: Progress): Promise<Receipt> {
  const places = placesOf(options.basePath ?? session.home, delivery)
  const receipt = (remotePath: string, outcome: Receipt['outcome'], proof: Proof): Receipt => ({
    remotePath,
    size: delivery.size,
    ...proof,
    outcome,
    server: session.server,
  })
  if (progress.unclear) {
    const found = await findEarlier(session, delivery, places, options.level)
    if (found) {
      // The rename that may have failed left this name, when the same content stood there before.
      await session.remove(places.temp)
      return receipt(found.path, 'found', found.proof)
    }
    progress.unclear = false
  }
  const skipped = receipt(places.final, 'skipped', BY_SIZE)
  if ((await lookBefore(session, delivery, places)) === 'skip') return skipped
  await session.makeFolder(places.folder)
  const proof = await sendVerified(session, delivery, places.temp, options.level, progress)
  const name = await publish(session, delivery, places, progress)
  if (name !== null) return receipt(name, 'sent', proof)
  await session.remove(places.temp)
  progress.temp = null
  return skipped
}

async function findEarlier(session: RemoteSession, delivery: Delivery, places: Places, level: VerifyLevel) {
  for (const path of delivery.onConflict === 'rename' ? namesLike(places.final) : [places.final]) {
    if ((await session.stat(path)) === null) return null
    const proof = await findRemote(session, path, contentOf(delivery), level)
    if (proof) return { path, proof }
  }
  return null
}

/** Answers the conflict before any byte is sent, where it is there to be seen. */
async function lookBefore(session: RemoteSession, delivery: Delivery, places: Places): Promise<'send' | 'skip'> {
  if (delivery.onConflict !== 'fail' && delivery.onConflict !== 'skip') return 'send'
  const entry = await session.stat(places.final)
  if (entry === null) return 'send'
  if (delivery.onConflict === 'skip' && entry.kind === 'file') return 'skip'
  throw new FileFlowError('remote.exists')
}

async function sendVerified(
  session: RemoteSession,
  delivery: Delivery,
  temp: string,
  level: VerifyLevel,
  progress: Progress,
): Promise<Proof> {
  const from = await resumeAt(session, delivery, temp)
  const begun = (): void => {
    progress.begun = true
  }
  const source = await openSpool(delivery, from, begun, session.copies)
  try {
    progress.temp = temp
    const told = await session.upload(temp, source.content, { from, mtimeMs: delivery.mtimeMs })
    source.check()
    return await verifyRemote(session, temp, contentOf(delivery), level, told)
  } finally {
    await source.close()
  }
}

/** The name it got; null when `skip` lost the race for it. */
async function publish(session: RemoteSession, delivery: Delivery, places: Places, progress: Progress): Promise<string | null> {
  const { onConflict } = delivery
  for (const path of onConflict === 'rename' ? namesLike(places.final) : [places.final]) {
    if (onConflict === 'rename' && (await session.stat(path)) !== null) continue
    progress.unclear = true
    try {
      await session.rename(places.temp, path, onConflict === 'overwrite')
      progress.unclear = false
      progress.temp = null
      return path
    } catch (error) {
      progress.unclear = !isAnswer(error) || !session.usable
      if (!(error instanceof FileFlowError) || error.code !== 'remote.exists' || onConflict === 'overwrite') throw error
      if (onConflict === 'skip') return null
      if (onConflict === 'fail') throw error
    }
  }
  throw new FileFlowError('remote.exists', `${ERRORS['remote.exists'].text} So do all names like it.`)
}

/** The far side itself said no: then nothing was renamed. Silence says nothing. */
const isAnswer = (error: unknown): boolean =>
  error instanceof FileFlowError && ['remote.denied', 'remote.exists', 'remote.full', 'remote.failed'].includes(error.code)
