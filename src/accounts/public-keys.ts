// Public keys of users: lines of an OpenSSH authorized_keys file, of kinds that are safe today.
// Must not accept what it does not understand: options before the key are refused, not ignored.
import { createHash, timingSafeEqual } from 'node:crypto'
import ssh2 from 'ssh2'
import { FileFlowError } from '../core/errors.ts'
import type { PublicKeyView } from '../core/views.ts'

const KINDS = new Set(['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'ssh-rsa'])
const RSA_LEAST_BITS = 2048

export interface PublicKey {
  readonly type: string
  /** The key in SSH wire form. */
  readonly blob: Buffer
  readonly comment: string
  /** `SHA256:…` as ssh-keygen -l prints it. */
  readonly fingerprint: string
}

export const fingerprintOf = (blob: Uint8Array): string => `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`

/** @throws FileFlowError `request.invalid` saying what is wrong with the line */
export function parsePublicKey(line: string): PublicKey {
  const fail = (why: string): never => {
    throw new FileFlowError('request.invalid', `public key: ${why}`)
  }
  const parts = line.trim().split(/\s+/)
  const type = parts[0] ?? ''
  if (!KINDS.has(type))
    fail(`it begins with ${JSON.stringify(type.slice(0, 40))}; known are ${[...KINDS].join(', ')} (options before the key are not taken)`)
  const blob = Buffer.from(parts[1] ?? '', 'base64')
  if (blob.length < 32 || blob.toString('base64').replace(/=+$/, '') !== (parts[1] ?? '').replace(/=+$/, ''))
    fail('the text after the type is not base64')
  const parsed = ssh2.utils.parseKey(`${type} ${parts[1]}`)
  if (parsed instanceof Error || parsed.isPrivateKey()) return fail('it cannot be read')
  if (parsed.type !== type) fail(`it says ${type} but holds ${parsed.type}`)
  if (type === 'ssh-rsa' && rsaBits(blob) < RSA_LEAST_BITS) fail(`an RSA key needs at least ${RSA_LEAST_BITS} bits`)
  return { type, blob, comment: parts.slice(2).join(' '), fingerprint: fingerprintOf(blob) }
}

const CURVE_BITS: Readonly<Record<string, number>> = {
  'ssh-ed25519': 256,
  'ecdsa-sha2-nistp256': 256,
  'ecdsa-sha2-nistp384': 384,
  'ecdsa-sha2-nistp521': 521,
}

/** What a person compares before trusting a key. @throws FileFlowError `request.invalid` */
export function inspectPublicKey(line: string): PublicKeyView {
  const { type, blob, fingerprint, comment } = parsePublicKey(line)
  return { type, bits: CURVE_BITS[type] ?? rsaBits(blob), fingerprint, comment }
}

/** RFC 4253 §6.6: string "ssh-rsa", mpint e, mpint n. */
function rsaBits(blob: Buffer): number {
  let at = 4 + blob.readUInt32BE(0)
  at += 4 + blob.readUInt32BE(at)
  const length = blob.readUInt32BE(at)
  const leadingZero = blob[at + 4] === 0 ? 1 : 0
  return (length - leadingZero) * 8
}

export function holdsKey(lines: readonly string[], blob: Uint8Array): boolean {
  let found = false
  for (const line of lines) {
    const known = Buffer.from(line.trim().split(/\s+/)[1] ?? '', 'base64')
    if (known.length === blob.length && timingSafeEqual(known, blob)) found = true
  }
  return found
}
