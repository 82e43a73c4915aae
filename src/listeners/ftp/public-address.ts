// The address that PASV names: the one the client reached us at, or the public one behind NAT, known by number or by name.
// Must not make a client wait for a slow name server once an address is known.
import { lookup } from 'node:dns/promises'
import { isIPv4 } from 'node:net'
import { monotonic } from '../../core/clock.ts'
import { FileFlowError } from '../../core/errors.ts'
import { errorFields, type Logger } from '../../core/log.ts'
import { networkMatcher } from '../../core/network.ts'
import type { Peer } from '../../core/transfer.ts'

/** A name is asked for again when its address is older than this: a dynamic address changes while the gateway runs. */
const FRESH_MS = 10_000

export interface PassiveSettings {
  /** `auto`, an IPv4 address or a host name. */
  readonly address: string
  /** Networks whose clients are on our side of the NAT. */
  readonly inside: readonly string[]
}

type Resolve = (name: string) => Promise<string>

const system: Resolve = async (name) => (await lookup(name, 4)).address

export class PublicAddress {
  readonly #log: Logger
  readonly #resolve: Resolve
  readonly #now: () => number
  readonly #known = new Map<string, { address: string; at: number }>()
  readonly #asking = new Map<string, Promise<string>>()

  constructor(log: Logger, resolve: Resolve = system, now: () => number = monotonic) {
    this.#log = log
    this.#resolve = resolve
    this.#now = now
  }

  /**
   * The address for this client; null on an IPv6 connection: PASV cannot name such an address.
   * RFC 1918: a client inside, that reached us at an inside address of the same private block, is told that one; the way through the NAT and back often fails.
   * @throws FileFlowError `data.no_connection` when the name has never been resolved
   */
  async for(peer: Peer, { address, inside }: PassiveSettings): Promise<string | null> {
    const reached = peer.localAddress
    // the port that is opened is one of the address the client reached
    if (!isIPv4(reached)) return null
    if (address === 'auto') return reached
    const named = isIPv4(address) ? address : await this.#byName(address)
    const isInside = networkMatcher(inside)
    const both = inside.some((network) => [peer.address, reached].every(networkMatcher([network])))
    // an operator who names a private address means it for everyone
    return both && !isInside(named) ? reached : named
  }

  /** Known: at once, asked again in the background when it is not fresh. */
  async #byName(name: string): Promise<string> {
    const known = this.#known.get(name)
    if (known !== undefined && this.#now() - known.at < FRESH_MS) return known.address
    const asked = this.#ask(name)
    if (known === undefined) return asked
    asked.catch(() => undefined)
    return known.address
  }

  #ask(name: string): Promise<string> {
    const asking = this.#asking.get(name)
    if (asking) return asking
    const asked = this.#resolve(name)
      .then(
        (address) => {
          const before = this.#known.get(name)?.address
          if (before !== address) this.#log.info('ftp.passive_address', 'ftp.passive.address has a new address', { name, address })
          this.#known.set(name, { address, at: this.#now() })
          return address
        },
        (cause: unknown) => {
          this.#log.error('ftp.passive_address', 'ftp.passive.address cannot be resolved', { name, ...errorFields(cause) })
          throw new FileFlowError('data.no_connection', undefined, { cause })
        },
      )
      .finally(() => this.#asking.delete(name))
    this.#asking.set(name, asked)
    return asked
  }
}
