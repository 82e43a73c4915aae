// Against guessing: addresses that fail too often are banned for a while, each time longer; deny lists; bounds on what strangers make it remember.
// Must not know users: failures count by address alone, so nobody can lock a partner out by name.
import type { Clock } from '../core/clock.ts'
import { householdOf, networkMatcher } from '../core/network.ts'

export interface DefencePolicy {
  readonly max_failures: number
  readonly window: number
  readonly ban: number
  readonly ban_growth: number
  readonly ban_max: number
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}

interface Record {
  failures: number
  since: number
  bans: number
  until: number
  /** When the present ban began, and after how many failures. */
  bannedAt: number
  bannedFor: number
}

/** Addresses remembered at most; the oldest are forgotten first. */
const MOST = 100_000

export interface Ban {
  readonly address: string
  /** ms */
  readonly since: number
  readonly until: number
  readonly failures: number
}

export interface LoginGuard {
  /** Why the address may not try now, or null. */
  refusal(address: string): { reason: 'denied' | 'banned'; until: number | null } | null
  /** Whether the address is on the list of those that are never banned. */
  trusts(address: string): boolean
  /** @returns true when this failure brought a ban. */
  failed(address: string): boolean
  succeeded(address: string): void
  bans(): Ban[]
  /** @returns false when the address is not banned. Its earlier bans are forgotten, too. */
  lift(address: string): boolean
  /** Since the start. */
  counts(): { failures: number; bans: number }
  setPolicy(policy: DefencePolicy): void
}

/** @param banned told of each ban */
export function createLoginGuard(initial: DefencePolicy, clock: Clock, banned: (address: string) => void = () => {}): LoginGuard {
  let policy = initial
  let allowed = networkMatcher(policy.allow)
  let denied = networkMatcher(policy.deny)
  const records = new Map<string, Record>()
  let failures = 0
  let bans = 0
  return {
    refusal(address) {
      if (denied(address)) return { reason: 'denied', until: null }
      const record = records.get(householdOf(address))
      return record && record.until > clock.now() && !allowed(address) ? { reason: 'banned', until: record.until } : null
    },
    trusts: (address) => allowed(address),
    failed(address) {
      if (allowed(address)) return false
      const now = clock.now()
      const key = householdOf(address)
      const record = records.get(key) ?? { failures: 0, since: now, bans: 0, until: 0, bannedAt: 0, bannedFor: 0 }
      if (now - record.since > policy.window) {
        record.failures = 0
        record.since = now
      }
      record.failures++
      failures++
      const full = record.failures >= policy.max_failures
      if (full) {
        record.until = now + Math.min(policy.ban_max, policy.ban * policy.ban_growth ** record.bans)
        record.bans++
        record.bannedAt = now
        record.bannedFor = record.failures
        bans++
        record.failures = 0
        record.since = now
      }
      records.delete(key)
      records.set(key, record)
      if (records.size > MOST) records.delete(records.keys().next().value!)
      if (full) banned(key)
      return full
    },
    succeeded(address) {
      const record = records.get(householdOf(address))
      if (record) record.failures = 0
    },
    bans() {
      const now = clock.now()
      return [...records]
        .filter(([, r]) => r.until > now)
        .map(([address, r]) => ({ address, since: r.bannedAt, until: r.until, failures: r.bannedFor }))
    },
    lift(address) {
      const key = records.has(address) ? address : householdOf(address)
      const record = records.get(key)
      if (!record || record.until <= clock.now()) return false
      return records.delete(key)
    },
    counts: () => ({ failures, bans }),
    setPolicy(next) {
      policy = next
      allowed = networkMatcher(policy.allow)
      denied = networkMatcher(policy.deny)
    },
  }
}
