// One login request of ssh2 in a form that cannot throw, its key parsed and fit to be verified.
// Must not decide anything, nor use private fields of ssh2.
import ssh2, { type AuthContext, type PublicKeyAuthContext } from 'ssh2'

export type AuthMethod = 'password' | 'publickey' | 'keyboard-interactive'

/** One USERAUTH_REQUEST. Every answer is safe to call late: what ssh2 throws ends the connection, nothing else. */
export interface AuthRequest {
  readonly username: string
  /** As the client named it; `none` and unknown ones included. */
  readonly method: string
  readonly password: string | null
  readonly key: { readonly algorithm: string; readonly blob: Buffer; readonly query: boolean; verify(): boolean } | null
  /** keyboard-interactive: one hidden answer; null when the client gave none or went on to another method. */
  ask(prompt: string, answered: (answer: string | null) => void): void
  accept(): void
  /** @param partial the credential was right, but another one of `methods` is needed, too (RFC 4252 §5.1) */
  refuse(methods: readonly AuthMethod[], partial?: boolean): void
}

/** ssh2's request as ours. `failed` is told what ssh2 throws when an answer comes at a time it does not expect. */
export function authRequest(context: AuthContext, legacy: boolean, failed: (error: Error) => void): AuthRequest {
  const guarded = (answer: () => void): void => {
    try {
      answer()
    } catch (error) {
      failed(error instanceof Error ? error : new Error(String(error)))
    }
  }
  return {
    username: context.username,
    method: context.method,
    password: context.method === 'password' && typeof context.password === 'string' ? context.password : null,
    key: context.method === 'publickey' ? offeredKey(context, legacy) : null,
    ask(prompt, answered) {
      if (context.method !== 'keyboard-interactive') return answered(null)
      guarded(() =>
        context.prompt([{ prompt, echo: false }], (answers: unknown) => {
          answered(Array.isArray(answers) && answers.length === 1 && typeof answers[0] === 'string' ? answers[0] : null)
        }),
      )
    },
    accept: () => guarded(() => context.accept()),
    refuse: (methods, partial = false) => guarded(() => context.reject([...methods], partial)),
  }
}

function offeredKey(context: PublicKeyAuthContext, legacy: boolean): AuthRequest['key'] {
  const { key, hashAlgo, signature, blob } = context
  const algorithm = key.algo
  // ssh-rsa without a hash is SHA-1, for `sftp.legacy` alone. The type inside the blob must be the one that is claimed.
  const inner = key.data.length > 4 ? key.data.subarray(4, 4 + key.data.readUInt32BE(0)).toString('latin1') : ''
  const usable = inner === algorithm && (legacy || !(algorithm === 'ssh-rsa' && hashAlgo === undefined)) && algorithm !== 'ssh-dss'
  const parsed = usable ? ssh2.utils.parseKey(`${algorithm} ${key.data.toString('base64')}`) : null
  if (parsed === null || parsed instanceof Error || Array.isArray(parsed)) return null
  // PK_OK repeats the algorithm that was asked for (RFC 4252 §7), not the type of the key.
  if (algorithm === 'ssh-rsa' && hashAlgo !== undefined) key.algo = hashAlgo === 'sha512' ? 'rsa-sha2-512' : 'rsa-sha2-256'
  return {
    algorithm,
    blob: key.data,
    query: signature === undefined,
    verify: () => signature !== undefined && blob !== undefined && parsed.verify(blob, signature, hashAlgo) === true,
  }
}
