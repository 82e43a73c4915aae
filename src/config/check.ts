// What single keys cannot say: values that are each possible but not together.
// Must not read anything; it is given the loaded configuration.
import type { Config } from './schema.ts'
import { parsePortRange } from './value.ts'

export interface CrossFault {
  /** The key to name: the one that is easiest to change. */
  readonly key: string
  readonly message: string
  /** The same seen from the other key, for when only that one was set by the operator. */
  readonly other?: { readonly key: string; readonly message: string }
}

/** Every pair of values that cannot be together. */
export function crossFaults(config: Config): CrossFault[] {
  const faults: CrossFault[] = []
  const fault = (key: string, message: string) => faults.push({ key, message })
  for (const [section, tls] of [['ftp.tls', config.ftp.tls] as const, ['admin.tls', config.admin.tls] as const]) {
    if (tls.cert !== null && tls.key === null) fault(`${section}.key`, `is missing: ${section}.cert is set, and the two go together`)
    if (tls.key !== null && tls.cert === null) fault(`${section}.cert`, `is missing: ${section}.key is set, and the two go together`)
  }
  if (config.ftp.tls.mode === 'off' && config.ftp.tls.implicit_port !== null) {
    fault('ftp.tls.implicit_port', 'needs TLS: allowed: null while ftp.tls.mode is off')
  }
  const { retry } = config.forwarding
  if (retry.first_delay > retry.max_delay) fault('forwarding.retry.first_delay', 'is longer than forwarding.retry.max_delay')
  if (config.defence.ban > config.defence.ban_max) fault('defence.ban', 'is longer than defence.ban_max')
  faults.push(...portFaults(config))
  return faults
}

const WILDCARDS = ['0.0.0.0', '::']
const overlap = (a: string, b: string): boolean => a === b || WILDCARDS.includes(a) || WILDCARDS.includes(b)

function portFaults(config: Config): CrossFault[] {
  const { ftp, sftp, admin } = config
  const listeners = [
    { key: 'ftp.port', on: ftp.enabled, host: ftp.host, port: ftp.port },
    { key: 'ftp.tls.implicit_port', on: ftp.enabled, host: ftp.host, port: ftp.tls.implicit_port ?? 0 },
    { key: 'sftp.port', on: sftp.enabled, host: sftp.host, port: sftp.port },
    { key: 'admin.port', on: admin.enabled, host: admin.host, port: admin.port },
  ].filter((one) => one.on && one.port !== 0)
  const faults: CrossFault[] = []
  for (const [i, one] of listeners.entries()) {
    const other = listeners.slice(0, i).find((before) => before.port === one.port && overlap(before.host, one.host))
    const message = (than: string): string => `is port ${one.port}, which ${than} has too`
    if (other) faults.push({ key: one.key, message: message(other.key), other: { key: other.key, message: message(one.key) } })
  }
  const range = parsePortRange(ftp.passive.ports)
  const inside =
    range && ftp.enabled ? listeners.find((l) => l.port >= range.first && l.port <= range.last && overlap(l.host, ftp.host)) : undefined
  if (inside) {
    faults.push({
      key: 'ftp.passive.ports',
      message: `holds port ${inside.port} of ${inside.key}`,
      other: { key: inside.key, message: `is port ${inside.port}, which ftp.passive.ports holds` },
    })
  }
  return faults
}
