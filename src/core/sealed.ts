// Secrets of a state file sealed with a passphrase: argon2id makes the key, AES-256-GCM seals; one line of text that YAML keeps as it is.
// Must not be weaker for a short passphrase than argon2id makes it; what is opened is never written anywhere.
import { argon2, createCipheriv, createDecipheriv } from 'node:crypto'
import { newBytes } from './clock.ts'
import { FileFlowError } from './errors.ts'

const MARK = 'ffseal1'
/** 64 MiB, three passes: a second of a guesser's time on one core for every few guesses. */
const MEMORY_KIB = 65_536
const PASSES = 3
const SALT = 16
const IV = 12
const TAG = 16

/** What `secrets:` of a state file looks like. */
export const SEALED_PATTERN = `^${MARK}\\.[A-Za-z0-9_-]+$`
export const LEAST_PASSPHRASE = 8

/** @throws FileFlowError `request.invalid` for a passphrase that is too short */
export async function sealWithPassphrase(clear: unknown, passphrase: string): Promise<string> {
  if (passphrase.length < LEAST_PASSPHRASE) {
    throw new FileFlowError('request.invalid', `The passphrase needs at least ${LEAST_PASSPHRASE} characters.`)
  }
  const salt = newBytes(SALT)
  const iv = newBytes(IV)
  const cipher = createCipheriv('aes-256-gcm', await keyOf(passphrase, salt), iv).setAAD(Buffer.from(MARK))
  const body = Buffer.concat([cipher.update(JSON.stringify(clear), 'utf8'), cipher.final()])
  return `${MARK}.${Buffer.concat([salt, iv, cipher.getAuthTag(), body]).toString('base64url')}`
}

/** @throws FileFlowError `request.invalid` when the passphrase is another one, or the text was changed */
export async function openWithPassphrase(sealed: string, passphrase: string): Promise<unknown> {
  const [mark, text = ''] = sealed.split('.', 2)
  const bytes = Buffer.from(text, 'base64url')
  if (mark !== MARK || bytes.length < SALT + IV + TAG)
    throw new FileFlowError('request.invalid', 'secrets: cannot be read; they were sealed by another version')
  const key = await keyOf(passphrase, bytes.subarray(0, SALT))
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(SALT, SALT + IV))
      .setAAD(Buffer.from(MARK))
      .setAuthTag(bytes.subarray(SALT + IV, SALT + IV + TAG))
    return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(SALT + IV + TAG)), decipher.final()]).toString('utf8'))
  } catch (cause) {
    throw new FileFlowError('request.invalid', 'secrets: the passphrase is not the one they were sealed with, or they were changed', {
      cause,
    })
  }
}

function keyOf(passphrase: string, nonce: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    argon2(
      'argon2id',
      { message: Buffer.from(passphrase.normalize('NFC')), nonce, parallelism: 1, tagLength: 32, memory: MEMORY_KIB, passes: PASSES },
      (error, key) => (error ? reject(error) : resolve(key)),
    )
  })
}
