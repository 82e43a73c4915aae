// The numbers that bound what one SSH connection may use up.
// Must not hold what an operator configures; that is in config/schema.

export interface Tuning {
  /** Connections that have not logged in, at once, of one worker. */
  readonly maxUnauthenticated: number
  /** Failed credentials before the connection ends (OpenSSH's MaxAuthTries). */
  readonly maxLoginFailures: number
  /** Login requests of any kind, key queries included: agents offer many keys. */
  readonly maxLoginRequests: number
  readonly maxChannels: number
  /** Open files and folders of one session, over all its channels. */
  readonly maxHandles: number
  /** Bytes asked for or sent and not answered, of one channel, before its input pauses. */
  readonly maxOutstanding: number
  /** Bytes of replies a client has not taken, of one channel, before its input pauses. */
  readonly maxUnsent: number
  /** Of all channels of a connection together, asked for and not taken: beyond it, a channel that has its {@link leastHeld} waits for the others. */
  readonly maxHeld: number
  readonly leastHeld: number
  /** Bytes of one read or write to a file. */
  readonly maxBatch: number
  /** New keys after this many bytes both ways, or this long (RFC 4253 §9). */
  readonly rekeyBytes: number
  readonly rekeyMs: number
  /** How often a connection looks at its idle time and its keys, at most. */
  readonly lookMs: number
  /** How often a client is asked for a sign of life. */
  readonly keepaliveMs: number
  /** A client that does not finish a key exchange within this time is cut off. */
  readonly rekeyDeadlineMs: number
  /** How long a socket may linger after the last word. */
  readonly lingerMs: number
  /** When the service stops: what a session has after its last transfer for what follows it. */
  readonly drainGraceMs: number
}

export const TUNING: Tuning = {
  maxUnauthenticated: 200,
  maxLoginFailures: 6,
  maxLoginRequests: 30,
  maxChannels: 16,
  maxHandles: 1000,
  maxOutstanding: 4 * 2 ** 20,
  maxUnsent: 2 * 2 ** 20,
  maxHeld: 12 * 2 ** 20,
  leastHeld: 512 * 1024,
  maxBatch: 2 ** 20,
  rekeyBytes: 2 ** 32,
  rekeyMs: 3600e3,
  lookMs: 5000,
  keepaliveMs: 30e3,
  rekeyDeadlineMs: 60e3,
  lingerMs: 2000,
  drainGraceMs: 500,
}

/** The largest SFTP packet that is taken, its length field not counted (what OpenSSH takes, too). */
export const MAX_PACKET = 256 * 1024
/** Data of one READ or WRITE; the rest of the packet is for its header. */
export const MAX_DATA = MAX_PACKET - 1024
