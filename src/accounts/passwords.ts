// Password hashes: argon2id, 19 MiB, two passes (OWASP's first choice), in PHC string form; bounded so that a flood of logins cannot take all memory.
// Must not tell an unknown user from a wrong password by its cost.
import { argon2, timingSafeEqual } from 'node:crypto'
import { newBytes } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'

const MEMORY_KIB = 19_456
const PASSES = 2
const TAG = 32
/** 38 ms and 19 MiB each; more than a few at once would starve the thread pool that also serves files. */
const AT_ONCE = 2
/** Beyond this the caller is told to come back: strangers cannot queue work without end. */
const MOST_WAITING = 256

let running = 0
const waiting: (() => void)[] = []

async function bounded<T>(work: () => Promise<T>): Promise<T> {
  if (running >= AT_ONCE) {
    if (waiting.length >= MOST_WAITING)
      throw new FileFlowError('limit.rate', 'Too many passwords wait to be checked; try again in a moment.')
    await new Promise<void>((go) => waiting.push(go))
  } else running++
  try {
    return await work()
  } finally {
    // the place goes to the next in line; nobody slips in between
    const next = waiting.shift()
    if (next) next()
    else running--
  }
}

interface Parameters {
  memory: number
  passes: number
  parallelism: number
  salt: Buffer
  tag: Buffer
}

function derive(password: string, p: Parameters): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    argon2(
      'argon2id',
      {
        message: Buffer.from(password, 'utf8'),
        nonce: p.salt,
        parallelism: p.parallelism,
        tagLength: p.tag.length,
        memory: p.memory,
        passes: p.passes,
      },
      (error, tag) => (error ? reject(error) : resolve(tag)),
    )
  })
}

const base64 = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '')

export async function hashPassword(password: string): Promise<string> {
  const salt = newBytes(16)
  const tag = await bounded(() => derive(password, { memory: MEMORY_KIB, passes: PASSES, parallelism: 1, salt, tag: Buffer.alloc(TAG) }))
  return `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=1$${base64(salt)}$${base64(tag)}`
}

/** A hash that no password fits, with the cost of a real one. */
const NOBODY = `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=1$${base64(Buffer.alloc(16))}$${base64(Buffer.alloc(TAG))}`

/** Costs the same for `null` (no such user, or none set) as for a hash; then the answer is always no. */
export async function verifyPassword(password: string, hash: string | null): Promise<boolean> {
  const parsed = parse(hash ?? NOBODY) ?? parse(NOBODY)!
  const tag = await bounded(() => derive(password, parsed))
  return timingSafeEqual(tag, parsed.tag) && hash !== null
}

/** Bounds keep a hash from an import from asking for all memory. */
function parse(hash: string): Parameters | undefined {
  const found = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(hash)
  if (!found) return undefined
  const [memory, passes, parallelism] = [Number(found[1]), Number(found[2]), Number(found[3])] as const
  if (memory > 1_048_576 || memory < 8 * parallelism || passes < 1 || parallelism < 1) return undefined
  return { memory, passes, parallelism, salt: Buffer.from(found[4]!, 'base64'), tag: Buffer.from(found[5]!, 'base64') }
}

const LEAST_PASSWORD = 8

/** What is asked of an admin's password. @throws FileFlowError `request.invalid` */
export function checkNewPassword(password: string): void {
  if (password.length < LEAST_PASSWORD)
    throw new FileFlowError('request.invalid', `The password needs at least ${LEAST_PASSWORD} characters.`)
}
