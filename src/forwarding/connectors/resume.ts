// Going on with a temporary file that a lost connection left, where it proves to be the beginning of the content.
// Must not trust a length alone further than the protocol writes in order.
import type { Delivery } from '../connector.ts'
import type { RemoteSession } from './remote-session.ts'
import { digestOfStart } from './spool-source.ts'

/** Less is sent again sooner than it is asked about. */
const LEAST = 1024 * 1024

/**
 * Only for a later attempt: the temporary name holds the delivery's own id, so nobody else wrote there. The far side's hash proves the beginning where it
 * offers one; else its length does, less what may be missing in between.
 * @returns how many bytes need not be sent again
 * @throws FileFlowError `remote.*`, `spool.*`
 */
export async function resumeAt(session: RemoteSession, delivery: Delivery, temp: string): Promise<number> {
  if (session.resumeSlack === null || delivery.attempt < 2 || delivery.size < LEAST) return 0
  const entry = await session.stat(temp)
  if (entry?.kind !== 'file' || entry.size < LEAST || entry.size > delivery.size) return 0
  const algorithm = session.hashAlgorithm
  if (algorithm) {
    const theirs = await session.hash(temp, entry.size)
    if (theirs !== null) return theirs.hex === (await digestOfStart(delivery, entry.size, algorithm)) ? entry.size : 0
  }
  return Math.max(0, entry.size - session.resumeSlack)
}
