// What commands set and later commands use (RFC 959 §5.3): REIN takes it all back.
// Must not hold the login or any socket.
import { ROOT, type VirtualPath } from '../../core/virtual-path.ts'

export interface SessionSettings {
  /** Named by USER, waiting for PASS. */
  username: string | null
  cwd: VirtualPath
  /** Image until the client says otherwise: a client that forgets TYPE gets its bytes back unchanged. */
  type: 'A' | 'I'
  /** TYPE A served a listing since it was set: it says nothing about files (Python's ftplib leaves it behind after each listing). */
  listedInText: boolean
  /** PROT: data connections in clear or private. */
  protection: 'C' | 'P'
  /** PBSZ was given, as PROT demands (RFC 4217 §8). */
  bufferSizeSet: boolean
  /** REST: where the next transfer begins. */
  restAt: number
  /** RANG: where the next download or digest ends (not included); null: at the end. */
  rangeEnd: number | null
  /** OPTS HASH: the algorithm of HASH, by its FTP name. */
  hash: string
  /** ALLO: how many bytes the next upload has. */
  allocated: number | null
  renameFrom: VirtualPath | null
  /** After EPSV ALL no other way to a data connection is allowed (RFC 2428 §4). */
  epsvAll: boolean
  /** What CLNT said. */
  client: string
  /** MLST facts, as OPTS MLST chose them. */
  facts: readonly string[]
}

export const ALL_FACTS = ['type', 'size', 'modify', 'perm', 'unique', 'unix.mode'] as const

export const freshSettings = (): SessionSettings => ({
  username: null,
  cwd: ROOT,
  type: 'I',
  listedInText: false,
  protection: 'C',
  bufferSizeSet: false,
  restAt: 0,
  rangeEnd: null,
  hash: 'SHA-256',
  allocated: null,
  renameFrom: null,
  epsvAll: false,
  client: '',
  facts: ALL_FACTS,
})
