// Key pairs made by ssh-keygen, as a partner makes them.
// Must not use ssh2's generator: it drops leading zero bytes, and one ed25519 key in 200 of it cannot be read.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export type KeyType = 'ed25519' | 'ecdsa' | 'rsa'

/** Writes `path` (private, OpenSSH's form, without a passphrase) and `path.pub`. */
export function makeSshKey(path: string, type: KeyType, bits?: number, comment = 'fileflow test'): void {
  const size = bits === undefined ? [] : ['-b', String(bits)]
  execFileSync('/usr/bin/ssh-keygen', ['-q', '-t', type, ...size, '-N', '', '-C', comment, '-f', path])
}

/** The texts of a new pair. `public` is a line as in authorized_keys. */
export function sshKeyPair(type: KeyType, bits?: number, comment?: string): { readonly private: string; readonly public: string } {
  const folder = mkdtempSync(join(tmpdir(), 'fileflow-key-'))
  try {
    const path = join(folder, 'key')
    makeSshKey(path, type, bits, comment)
    return { private: readFileSync(path, 'utf8'), public: readFileSync(`${path}.pub`, 'utf8').trim() }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
