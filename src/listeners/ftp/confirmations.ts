// Evidence that comes after 226: uploads whose end was only likely wait here for a sign of life of their session.
// Must not hold up a reply; only the rules of these files wait.
import { QUIET_MS } from '../../core/doubt.ts'
import type { Gatekeeper } from '../../gatekeeper/messages.ts'

export class Confirmations {
  readonly #gatekeeper: Gatekeeper
  #waiting: { readonly transferId: string; readonly owes: boolean }[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(gatekeeper: Gatekeeper) {
    this.#gatekeeper = gatekeeper
  }

  get waiting(): boolean {
    return this.#waiting.length > 0
  }

  /** Quiet is no sign any more: only `settle` decides. */
  doubt(): void {
    clearTimeout(this.#timer)
  }

  /** A committed upload with a `likely` verdict. @param owes deliveries may wait for it */
  hold(transferId: string, owes: boolean): void {
    this.#waiting.push({ transferId, owes })
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.settle('confirmed'), QUIET_MS)
  }

  /** `confirmed`: a further command came, or the quiet window passed. `suspect`: the control connection died first. */
  settle(verdict: 'confirmed' | 'suspect'): void {
    clearTimeout(this.#timer)
    for (const { transferId, owes } of this.#waiting.splice(0)) this.#gatekeeper.confirmUpload(transferId, verdict, owes)
  }
}
