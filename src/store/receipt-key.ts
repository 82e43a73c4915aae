// The gateway's own key for receipts: ed25519, made once under data_dir/keys, the private half readable by its owner alone.
// Must not sign anything but receipts.
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FileFlowError } from '../core/errors.ts'
import { canonicalJson, keyDer, keyFingerprint, type ReceiptStatement, type SignedReceipt } from '../core/receipt.ts'

export interface ReceiptKey {
  sign(receipt: ReceiptStatement): SignedReceipt
  /** `SHA256:…` */
  readonly fingerprint: string
  /** PEM, for those who check. */
  readonly publicKey: string
}

/** Made at its first use. @throws FileFlowError `config.invalid` when the file holds no ed25519 key */
export function openReceiptKey(dataDir: string): () => ReceiptKey {
  let opened: ReceiptKey | undefined
  return () => {
    opened ??= receiptKey(privateKey(join(dataDir, 'keys')))
    return opened
  }
}

function receiptKey(key: KeyObject): ReceiptKey {
  const open = createPublicKey(key)
  const der = keyDer(open)
  const fingerprint = keyFingerprint(der)
  return {
    fingerprint,
    publicKey: open.export({ type: 'spki', format: 'pem' }) as string,
    sign(receipt) {
      const payload = Buffer.from(canonicalJson(receipt))
      return {
        receipt,
        payload: payload.toString('base64'),
        signature: sign(null, payload, key).toString('base64'),
        public_key: der.toString('base64'),
        key: fingerprint,
      }
    },
  }
}

function privateKey(folder: string): KeyObject {
  const file = join(folder, 'receipts.key')
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return makeKey(folder, file)
  }
  try {
    const key = createPrivateKey(text)
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch {
    // the same answer as for a key of another kind
  }
  throw new FileFlowError('config.invalid', 'keys/receipts.key holds no ed25519 private key in PEM.')
}

function makeKey(folder: string, file: string): KeyObject {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { privateKey: key, publicKey: open } = generateKeyPairSync('ed25519')
  writeFileSync(file, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx', flush: true })
  writeFileSync(join(folder, 'receipts.pub'), open.export({ type: 'spki', format: 'pem' }), { mode: 0o644, flush: true })
  return key
}
