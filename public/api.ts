// The only fetch: calls of the API with the CSRF token, and problems as typed errors.
// Must not know any page.
import type { ErrorCode } from '../src/core/errors.ts'
import { language } from './language.ts'
import { strings } from './strings.ts'

export interface Me {
  readonly username: string
  readonly role: 'admin' | 'operator' | 'auditor'
  readonly csrf: string | null
  readonly version?: string
}

export class ApiError extends Error {
  readonly status: number
  readonly code: ErrorCode | 'network'
  /** What the gateway said beyond the words of the code; '' when nothing. */
  readonly said: string
  constructor(status: number, code: ErrorCode | 'network', said: string, cause?: unknown) {
    // what it says is more exact than the code's own words, but English where a language has no words for it
    const words = code === 'network' ? '' : (strings.codes[code] ?? '')
    const known = strings.said(said)
    super(said === '' ? words : language === 'en' || words === '' || known !== said ? known : `${words} ${said}`, { cause })
    this.said = said
    this.name = 'ApiError'
    this.status = status
    this.code = code
  }
}

let csrf: string | null = null
let onLoggedOut: () => void = () => {}

/** Without a touch for that long the page only watches: what it reads does not keep the login alive. */
const WATCHING_MS = 60_000
let touched = Date.now()
for (const act of ['pointerdown', 'keydown', 'wheel', 'touchmove'] as const)
  addEventListener(act, () => (touched = Date.now()), { capture: true, passive: true })
const watching = (): Record<string, string> => (Date.now() - touched < WATCHING_MS ? {} : { 'x-fileflow-idle': '1' })

/** Called whenever an answer says that nobody is logged in. */
export const whenLoggedOut = (listener: () => void): void => {
  onLoggedOut = listener
}

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** One call of `/api/v1` + `path`. @throws ApiError */
export async function api<T>(method: Method, path: string, body?: unknown): Promise<T> {
  let response: Response
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      credentials: 'same-origin',
      headers: {
        accept: 'application/json',
        ...watching(),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(csrf === null || method === 'GET' ? {} : { 'x-csrf-token': csrf }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  } catch (error) {
    throw new ApiError(0, 'network', strings.errors.network, error)
  }
  if (response.status === 204) return undefined as T
  const answer: unknown = await response.json().catch(() => null)
  if (response.ok) return answer as T
  const { code, title, detail } = (answer ?? {}) as { code?: ErrorCode; title?: string; detail?: string }
  const failed =
    code === undefined
      ? new ApiError(response.status, 'internal', strings.errors.unexpected(response.status))
      : new ApiError(response.status, code, detail === undefined || detail === title ? '' : detail)
  if (failed.code === 'auth.required') onLoggedOut()
  throw failed
}

/** Who is logged in; null when nobody is. */
export async function whoAmI(): Promise<Me | null> {
  try {
    const me = await api<Me>('GET', '/session')
    csrf = me.csrf
    return me
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return null
    throw error
  }
}

/** @param totp the code of an authenticator, or a recovery code, where the account wants one */
export async function logIn(username: string, password: string, totp: string): Promise<Me> {
  const me = await api<Me>('POST', '/session', { username, password, ...(totp === '' ? {} : { totp }) })
  csrf = me.csrf
  return me
}

export async function logOut(): Promise<void> {
  await api('DELETE', '/session')
  csrf = null
}

/**
 * Reads the event stream until it ends or `signal` aborts; `onEvent` is told each event among `types` (their first parts), `onSign` of each sign of life.
 * @throws ApiError when it cannot be opened or breaks off
 */
export async function readEvents(
  types: readonly string[],
  signal: AbortSignal,
  { onOpen, onSign, onEvent }: { onOpen(): void; onSign(): void; onEvent(type: string, data: unknown): void },
): Promise<void> {
  try {
    const response = await fetch(`/api/v1/events?types=${types.join(',')}`, {
      headers: { accept: 'text/event-stream' },
      credentials: 'same-origin',
      signal,
    })
    if (response.status === 401) onLoggedOut()
    if (!response.ok || !response.body)
      throw new ApiError(response.status, 'service.unavailable', strings.errors.unexpected(response.status))
    onOpen()
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    let rest = ''
    let type = ''
    let data = ''
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      onSign()
      const lines = (rest + part.value).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line.startsWith('event: ')) type = line.slice(7)
        else if (line.startsWith('data: ')) data += line.slice(6)
        else if (line === '') {
          if (type !== '') onEvent(type, data === '' ? null : (JSON.parse(data) as unknown))
          type = ''
          data = ''
        }
      }
    }
  } catch (error) {
    throw error instanceof ApiError ? error : new ApiError(0, 'network', strings.errors.network, error)
  }
}
