// Seals secrets of destinations with AES-256-GCM under a key of the gateway's own, so that the database file alone gives none away.
// Must not keep anything unsealed.
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { newBytes } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'

export interface SecretBox {
  seal(clear: unknown, context: string): Buffer
  /** @throws FileFlowError `config.invalid` when the key is not the one that sealed it */
  open(sealed: Uint8Array, context: string): unknown
}

/** The box whose key is in `file`; made (mode 0600) when it is missing. */
export function openSecretBox(file: string): SecretBox {
  return secretBox(readKey(file) ?? makeKey(file))
}

export function secretBox(key: Buffer): SecretBox {
  return {
    seal(clear, context) {
      const iv = newBytes(12)
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context))
      const body = Buffer.concat([cipher.update(JSON.stringify(clear), 'utf8'), cipher.final()])
      return Buffer.concat([iv, cipher.getAuthTag(), body])
    },
    open(sealed, context) {
      try {
        const bytes = Buffer.from(sealed)
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12))
          .setAAD(Buffer.from(context))
          .setAuthTag(bytes.subarray(12, 28))
        return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8'))
      } catch (cause) {
        throw new FileFlowError(
          'config.invalid',
          `The secrets of ${context} cannot be opened: keys/secrets.key is not the key that sealed them.`,
          { cause },
        )
      }
    },
  }
}

function readKey(file: string): Buffer | undefined {
  try {
    const key = readFileSync(file)
    if (key.length !== 32) throw new FileFlowError('config.invalid', `${file} is damaged: it must hold 32 bytes.`)
    return key
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function makeKey(file: string): Buffer {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const key = newBytes(32)
  const fd = openSync(file, 'wx', 0o600)
  writeSync(fd, key)
  fsyncSync(fd)
  closeSync(fd)
  return key
}
