// The test of a destination, step by step: what an operator sees before trusting it with files.
// Must not throw for what the far side does, nor leave its file there.
import { createHash } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { Readable } from 'node:stream'
import { monotonic, newId } from '../../core/clock.ts'
import type { DestinationSpec } from '../../core/destination.ts'
import { FileFlowError } from '../../core/errors.ts'
import type { ProbeReport, ProbeStep } from '../connector.ts'
import { translatorFor } from './errors.ts'
import { below } from './remote-path.ts'
import type { OpenSession, RemoteSession } from './remote-session.ts'
import type { Content } from './spool-source.ts'
import { verifyRemote } from './verify.ts'
import { promptly } from './within.ts'

type StepName = ProbeStep['step']

/** Breaks off with `signal`; the report then ends with the step that was running. */
export async function probeDestination(destination: DestinationSpec, open: OpenSession, signal: AbortSignal): Promise<ProbeReport> {
  const translate = translatorFor(destination)
  const steps: ProbeStep[] = []
  let fingerprint: string | null = null
  let running: StepName = 'resolve'
  let since = monotonic()
  let session: RemoteSession | undefined
  let left: string | null = null
  const done = (detail: string, next?: StepName) => {
    steps.push({ step: running, ok: true, ms: Math.round(monotonic() - since), detail })
    since = monotonic()
    if (next) running = next
  }
  const stop = () => session?.destroy()
  try {
    done(await resolve(destination), 'connect')
    session = await open({ signal, connected: (detail) => done(detail, 'login'), fingerprint: (shown) => (fingerprint = shown) })
    signal.addEventListener('abort', stop, { once: true })
    done(session.server ?? 'logged in', 'write')
    const folder = destination.base_path ?? session.home
    const name = `.fileflow-probe-${newId()}`
    const temp = below(folder, `${name}.part`)
    const final = below(folder, `${name}.txt`)
    const bytes = Buffer.from(`FileFlow tests this destination (${name}). This file may be removed.\n`)
    await promptly(session.makeFolder(folder), signal)
    left = temp
    await promptly(session.upload(temp, Readable.from([bytes])), signal)
    done(`${bytes.length} bytes in ${folder}`, 'verify')
    const proof = await promptly(verifyRemote(session, temp, contentOf(bytes), destination.verify ?? 'auto'), signal)
    await promptly(session.rename(temp, final, false), signal)
    left = final
    done(`${proof.verified}${proof.algorithm ? ` (${proof.algorithm})` : ''}, renamed`, 'remove')
    await promptly(session.remove(final), signal)
    left = null
    done('removed')
  } catch (error) {
    const failure = signal.aborted ? new FileFlowError('delivery.cancelled', 'The test was broken off.') : translate(error, 'work')
    steps.push({ step: running, ok: false, ms: Math.round(monotonic() - since), detail: `${failure.code}: ${failure.message}` })
    if (left !== null && session?.usable) await session.remove(left).catch(() => undefined)
  } finally {
    signal.removeEventListener('abort', stop)
    await session?.end()
  }
  return { ok: steps.every((step) => step.ok), steps, fingerprint }
}

async function resolve(destination: DestinationSpec): Promise<string> {
  if (!destination.host) return 'this machine'
  try {
    const found = await lookup(destination.host, { all: true })
    return found.map(({ address }) => address).join(', ')
  } catch (cause) {
    throw new FileFlowError('remote.unreachable', `${destination.host}: the name cannot be resolved`, { cause })
  }
}

const contentOf = (bytes: Buffer): Content => ({
  size: bytes.length,
  digest: async (algorithm) => createHash(algorithm).update(bytes).digest('hex'),
})
