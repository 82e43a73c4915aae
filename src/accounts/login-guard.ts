// Against guessing: addresses that fail too often are banned for a while, each time longer; deny lists; bounds on what strangers make it remember.
// Must not know users: failures count by address alone, so nobody can lock a partner out by name.
import type { Clock } from '../core/clock.ts'
import { networkMatcher, plainAddress } from '../core/network.ts'

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
}

/** Addresses remembered at most; the oldest are forgotten first. */
const MOST = 100_000

export interface LoginGuard {
  /** Why the address may not try now, or null. */
  refusal(address: string): { reason: 'denied' | 'banned'; until: number | null } | null
  /** @returns true when this failure brought a ban. */
  failed(address: string): boolean
  succeeded(address: string): void
  bans(): { address: string; until: number }[]
  setPolicy(policy: DefencePolicy): void
}

export function createLoginGuard(initial: DefencePolicy, clock: Clock): LoginGuard {
  let policy = initial
  let allowed = networkMatcher(policy.allow)
  let denied = networkMatcher(policy.deny)
  const records = new Map<string, Record>()
  // a /64 is one household: counting single IPv6 addresses would count nothing
  const keyOf = (address: string): string => {
    const plain = plainAddress(address)
    return plain.includes(':') ? `${expandIPv6(plain).slice(0, 4).join(':')}::/64` : plain
  }
  return {
    refusal(address) {
      if (denied(address)) return { reason: 'denied', until: null }
      const record = records.get(keyOf(address))
      return record && record.until > clock.now() && !allowed(address) ? { reason: 'banned', until: record.until } : null
    },
    failed(address) {
      if (allowed(address)) return false
      const now = clock.now()
      const key = keyOf(address)
      const record = records.get(key) ?? { failures: 0, since: now, bans: 0, until: 0 }
      if (now - record.since > policy.window) {
        record.failures = 0
        record.since = now
      }
      record.failures++
      const banned = record.failures >= policy.max_failures
      if (banned) {
        record.until = now + Math.min(policy.ban_max, policy.ban * policy.ban_growth ** record.bans)
        record.bans++
        record.failures = 0
        record.since = now
      }
      records.delete(key)
      records.set(key, record)
      if (records.size > MOST) records.delete(records.keys().next().value!)
      return banned
    },
    succeeded(address) {
      const record = records.get(keyOf(address))
      if (record) record.failures = 0
    },
    bans() {
      const now = clock.now()
      return [...records].filter(([, r]) => r.until > now).map(([address, r]) => ({ address, until: r.until }))
    },
    setPolicy(next) {
      policy = next
      allowed = networkMatcher(policy.allow)
      denied = networkMatcher(policy.deny)
    },
  }
}

/** The eight groups of an IPv6 address, without leading zeros. */
function expandIPv6(address: string): string[] {
  const [head, tail] = address.split('::') as [string, string | undefined]
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const middle = tail === undefined ? [] : Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0')
  return [...left, ...middle, ...right].map((group) => group.replace(/^0+(?=.)/, '').toLowerCase())
}
