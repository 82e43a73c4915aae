// Second factors of admins: time-based codes (RFC 6238) as authenticator apps make them, and recovery codes for the day the phone is lost.
// Must not keep or count anything: admin-sessions.ts does.
import { createHash } from 'node:crypto'
import { generateURI, verifySync } from 'otplib'
import { newBytes } from '../core/clock.ts'

const STEP_S = 30
const SECRET_BYTES = 20
const RECOVERY_CODES = 10
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** 160 bits, as RFC 4226 §4 recommends. */
export const newTotpSecret = (): string => base32(newBytes(SECRET_BYTES))

/** What the QR code holds. */
export const totpUri = (username: string, secret: string): string => generateURI({ issuer: 'FileFlow', label: username, secret })

/** What was typed, without the blanks and dashes people put in. */
export const plainCode = (typed: string): string => typed.replace(/[\s-]/g, '').toUpperCase()

/**
 * The time step that `code` is of: the present one, or the one before or after it, for clocks that differ.
 * @param now ms
 * @returns null when it fits none of them
 */
export function totpStep(secret: string, code: string, now: number): number | null {
  if (!/^\d{6}$/.test(code)) return null
  const result = verifySync({ secret, token: code, epoch: Math.floor(now / 1000), epochTolerance: STEP_S })
  return result.valid && 'timeStep' in result ? result.timeStep : null
}

/** Ten codes of 80 bits; each works once. */
export const newRecoveryCodes = (): string[] =>
  Array.from({ length: RECOVERY_CODES }, () => base32(newBytes(10)).replace(/(.{4})(?=.)/g, '$1-'))

/** As the rows keep it: 80 bits of chance need no slow hash. */
export const recoveryHash = (code: string): string => createHash('sha256').update(plainCode(code)).digest('hex')

/** RFC 4648 §6, for lengths that need no padding. */
function base32(bytes: Uint8Array): string {
  let bits = 0n
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte)
  let text = ''
  for (let at = bytes.length * 8 - 5; at >= 0; at -= 5) text += BASE32[Number((bits >> BigInt(at)) & 31n)]
  return text
}
