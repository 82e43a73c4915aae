// What admins do, in the audit log: a note of an act, and destination tests with how they went.
// Must not decide who may do it; the routes do.
import type { Clock } from '../core/clock.ts'
import type { Actor } from '../core/views.ts'
import type { ProbeReport } from '../forwarding/connector.ts'
import type { Store } from '../store/store.ts'

/** A test of a destination is broken off after so long. */
const LONGEST_TEST_MS = 60_000

export type Note = (actor: Actor, action: string, object: string, detail?: Record<string, unknown>, ok?: boolean) => void

/** @returns writes an audit row at once */
export function createNote(store: Store, clock: Clock): Note {
  return (actor, action, object, detail = {}, ok = true) =>
    store.group.now(() => {
      const outcome = ok ? 'ok' : 'failed'
      store.audit.append({ at: clock.now(), actor: actor.name, address: actor.address, action, object, outcome, detail })
    })
}

type Probe = (name: string, signal: AbortSignal) => Promise<ProbeReport>

/** @returns tests a destination by name; the audit row says whether it went well */
export function createDestinationTest(probe: Probe, note: Note) {
  return async (actor: Actor, name: string, signal: AbortSignal): Promise<ProbeReport> => {
    let ok = false
    try {
      const report = await probe(name, AbortSignal.any([signal, AbortSignal.timeout(LONGEST_TEST_MS)]))
      ok = report.ok
      return report
    } finally {
      note(actor, 'destination.test', name, {}, ok)
    }
  }
}
