// The algorithms that are offered, strongest first. Known gaps of ssh2: no post-quantum key exchange, no group-exchange as a server.
// Must not name anything ssh2 cannot do; SHA-1 and CBC are in LEGACY alone, compression is never offered.

export interface Algorithms {
  readonly kex: readonly string[]
  readonly ciphers: readonly string[]
  readonly macs: readonly string[]
  readonly hostKeys: readonly string[]
  /** Of users' keys. */
  readonly signatures: readonly string[]
}

export const GCM_CIPHERS: readonly string[] = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com']

/** The curves of NIST: not trusted by all who audit, so no host key of ours is offered of them, unless the operator names one or wants old clients served. */
export const ECDSA: readonly string[] = ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521']

export const MODERN: Algorithms = {
  // not group 18: it costs 21 ms of processor before a login (group 16: 4), and who knows it knows group 16
  kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org', 'diffie-hellman-group16-sha512', 'diffie-hellman-group14-sha256'],
  ciphers: [...GCM_CIPHERS, 'aes128-ctr', 'aes192-ctr', 'aes256-ctr', 'chacha20-poly1305@openssh.com'],
  macs: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  hostKeys: ['ssh-ed25519', 'rsa-sha2-512', 'rsa-sha2-256'],
  signatures: ['ssh-ed25519', ...ECDSA, 'rsa-sha2-512', 'rsa-sha2-256'],
}

/** `sftp.legacy`: what software of before about 2014 needs, behind all that is better. A group of 1024 bits and 3DES are still left out. */
export const LEGACY: Algorithms = {
  kex: [...MODERN.kex, 'ecdh-sha2-nistp256', 'ecdh-sha2-nistp384', 'ecdh-sha2-nistp521', 'diffie-hellman-group14-sha1'],
  ciphers: [...MODERN.ciphers, 'aes256-cbc', 'aes192-cbc', 'aes128-cbc'],
  macs: [...MODERN.macs, 'hmac-sha1'],
  hostKeys: [...MODERN.hostKeys, ...ECDSA, 'ssh-rsa'],
  signatures: [...MODERN.signatures, 'ssh-rsa'],
}

/** Clients that have GCM but ask for chacha20 first, which is slow in JavaScript: they are offered GCM alone. They send their KEXINIT without waiting for ours. */
export const PREFERS_SLOW_CIPHERS = /^SSH-2\.0-OpenSSH_([7-9]|[1-9]\d)/
