// Signed receipts: what was delivered where and how that was proven, in a form that anyone can check with the public key alone.
// Must not hold or read keys; the store keeps the gateway's.
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { FileFlowError } from './errors.ts'

export const RECEIPT_TYPE = 'fileflow-receipt/1'

/** What is signed. Times are ISO 8601 UTC. */
export interface ReceiptStatement {
  readonly type: typeof RECEIPT_TYPE
  readonly delivery: string
  readonly transfer: string
  readonly rule: string
  readonly user: string
  readonly partner: string
  /** The partner's name of the file. */
  readonly path: string
  readonly destination: string
  readonly remote_path: string
  readonly size: number
  readonly sha256: string
  /** What the far side proved: its size, its hash, or the content read back. */
  readonly verified: string
  readonly algorithm: string | null
  /** How that hash was had; absent without one, and in receipts of what was delivered before this was recorded. */
  readonly method?: string
  /** `sent`, `found` (it was there already), `skipped` (the name was taken). */
  readonly outcome: string
  readonly server: string | null
  readonly attempts: number
  readonly received_at: string
  readonly delivered_at: string
}

export interface SignedReceipt {
  readonly receipt: ReceiptStatement
  /** Base64 of the canonical form of `receipt`: the very bytes that are signed. */
  readonly payload: string
  /** Base64, ed25519 (RFC 8032) over the payload's bytes. */
  readonly signature: string
  /** Base64 of the public key's DER (SubjectPublicKeyInfo). */
  readonly public_key: string
  /** `SHA256:` and the base64 of the SHA-256 of that DER. */
  readonly key: string
}

/** One text for one value: keys sorted, no white space, UTF-8 (RFC 8785 for objects of text, whole numbers and null). */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const keys = Object.keys(value).sort()
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonicalJson((value as Record<string, unknown>)[key])}`).join(',')}}`
}

/** What proved it, in few words. */
export const proofText = ({ verified, algorithm, method }: Pick<ReceiptStatement, 'verified' | 'algorithm' | 'method'>): string =>
  `${algorithm ?? verified}${method === undefined ? '' : ` (${method})`}`

export const keyDer = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' })
export const keyFingerprint = (der: Buffer): string => `SHA256:${createHash('sha256').update(der).digest('base64')}`

/**
 * Checks a receipt as it came from outside.
 * @param trusted fingerprint of the key that must have signed it
 * @throws FileFlowError `request.invalid` in words that say what is wrong with it
 */
export function verifyReceipt(text: string, trusted: string): ReceiptStatement {
  const fail = (message: string, cause?: unknown): never => {
    throw new FileFlowError('request.invalid', message, { cause })
  }
  let signed: Partial<Record<keyof SignedReceipt, unknown>>
  try {
    signed = JSON.parse(text) as typeof signed
  } catch (error) {
    return fail('This is not a receipt: it is not JSON.', error)
  }
  const { receipt, payload, signature, public_key: publicKey } = signed ?? {}
  if (
    typeof receipt !== 'object' ||
    receipt === null ||
    typeof payload !== 'string' ||
    typeof signature !== 'string' ||
    typeof publicKey !== 'string'
  )
    return fail('This is not a receipt: it has no receipt, payload, signature and public_key.')
  const der = Buffer.from(publicKey, 'base64')
  const fingerprint = keyFingerprint(der)
  if (fingerprint !== trusted)
    return fail(`The receipt is signed with another key (${fingerprint}) than the one that is trusted (${trusted}).`)
  const bytes = Buffer.from(payload, 'base64')
  let genuine = false
  try {
    const key = createPublicKey({ key: der, type: 'spki', format: 'der' })
    genuine = key.asymmetricKeyType === 'ed25519' && verify(null, bytes, key, Buffer.from(signature, 'base64'))
  } catch (error) {
    return fail('The public key of the receipt is not one.', error)
  }
  if (!genuine) return fail('The signature is not genuine: the receipt was changed, or not signed by that key.')
  if (canonicalJson(receipt) !== bytes.toString('utf8')) return fail('The receipt that is shown is not the one that was signed.')
  if ((receipt as ReceiptStatement).type !== RECEIPT_TYPE) return fail(`This is not a receipt of the type ${RECEIPT_TYPE}.`)
  return receipt as ReceiptStatement
}
