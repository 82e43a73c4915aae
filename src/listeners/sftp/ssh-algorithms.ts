// The algorithms that are offered, strongest first. Known gaps of ssh2: no post-quantum key exchange, no group-exchange as a server.
// Must not name anything ssh2 cannot do; SHA-1 is in none of these lists, compression is never offered.

export const KEX = [
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'ecdh-sha2-nistp521',
  'diffie-hellman-group16-sha512',
  'diffie-hellman-group18-sha512',
  'diffie-hellman-group14-sha256',
] as const

export const GCM_CIPHERS = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'] as const
export const CIPHERS = [...GCM_CIPHERS, 'aes128-ctr', 'aes192-ctr', 'aes256-ctr', 'chacha20-poly1305@openssh.com'] as const

export const MACS = ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'] as const

export const HOST_KEYS = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const

/** Clients that have GCM but ask for chacha20 first, which is slow in JavaScript: they are offered GCM alone. */
export const PREFERS_SLOW_CIPHERS = /^SSH-2\.0-OpenSSH_([7-9]|[1-9]\d)/
