// Events for screens: who listens hears; nobody has to. Rows oblige, events inform.
// Must not carry anything that is not in a row or in the live tables already.
import type { ControlPlaneEvent } from './control-plane.ts'

export interface EventHub {
  /** `data` is only made when somebody listens. */
  /** @param facts for who counts, where that is less work than `data`: it is made for every event */
  emit(type: string, data: () => unknown, facts?: () => unknown): void
  subscribe(listener: (event: ControlPlaneEvent) => void): () => void
  /** For who counts: does not make anybody think that a screen is open, and makes the data only where it is asked for. */
  watch(watcher: (type: string, facts: () => unknown) => void): void
  /** Whether anybody listens. */
  heard(): boolean
}

/** @param failed told of a listener or a view that threw; whoever emitted goes on */
export function createEventHub(failed: (error: unknown) => void): EventHub {
  const listeners = new Set<(event: ControlPlaneEvent) => void>()
  const watchers: ((type: string, data: () => unknown) => void)[] = []
  return {
    watch: (watcher) => void watchers.push(watcher),
    heard: () => listeners.size > 0,
    emit(type, data, facts = data) {
      try {
        for (const watcher of watchers) watcher(type, facts)
      } catch (error) {
        failed(error)
      }
      if (listeners.size === 0) return
      try {
        const event = { type, data: data() }
        for (const listener of listeners) listener(event)
      } catch (error) {
        failed(error)
      }
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
