// The API as commands see it: over the gateway's unix socket, or whatever answers in its place when none runs.
// Must not open the database; the caller does.
import type { IncomingMessage } from 'node:http'
import { createConnection } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { socketPath, withSocketAddress } from '../config/socket-path.ts'
import { monotonic } from '../core/clock.ts'
import { ERRORS, type ErrorCode, FileFlowError } from '../core/errors.ts'
import type { Page } from '../core/views.ts'

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** One call of `/api/v1` + `path`; `body` of the answer is JSON, or null when there is none. */
export type Transport = (method: Method, path: string, body?: unknown) => Promise<{ status: number; body: unknown }>

// an import would read all that the module exports, its fetch included, which costs each command and each start 50 ms
const { request } = process.getBuiltinModule('node:http')
const PREFIX = '/api/v1'
const LONGEST_ANSWER = 256 * 2 ** 20

/** How long a command waits for a gateway that starts or stops, or for another command. */
const PATIENCE_MS = 30_000

/**
 * What `online` makes of the running gateway's socket, or else what `offline` makes of the database itself.
 * @throws FileFlowError `service.unavailable` when the database stays in use and nobody answers
 */
export async function reachGateway<T>(dataDir: string, online: (socket: string) => T | Promise<T>, offline: () => Promise<T>): Promise<T> {
  const path = socketPath(dataDir)
  const end = monotonic() + PATIENCE_MS
  for (;;) {
    if (await answers(path)) return online(path)
    try {
      return await offline()
    } catch (error) {
      if (!(error instanceof FileFlowError) || error.code !== 'service.unavailable' || monotonic() >= end) throw error
    }
    await sleep(100)
  }
}

/** Whether a gateway listens. @throws FileFlowError `service.unavailable` when one does but we may not speak to it */
function answers(path: string): Promise<boolean> {
  return withSocketAddress(path, (address) => connects(path, address))
}

function connects(path: string, address: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path: address })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) => {
      // A socket file without a listener is what a killed gateway leaves behind.
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED' || error.code === 'ENOTDIR') resolve(false)
      else
        reject(
          new FileFlowError('service.unavailable', `Cannot open ${path}: ${error.code ?? error.message}. Run this as the gateway's user.`, {
            cause: error,
          }),
        )
    })
  })
}

/** Calls over the unix socket at `path`. */
export function socketTransport(path: string): Transport {
  return (method, url, body) => withSocketAddress(path, (address) => exchange(address, method, url, body))
}

function exchange(address: string, method: Method, url: string, body: unknown): Promise<{ status: number; body: unknown }> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error) =>
      reject(new FileFlowError('service.unavailable', 'The connection to the gateway was lost.', { cause: error }))
    const payload = body === undefined ? undefined : JSON.stringify(body)
    const call = request(
      {
        socketPath: address,
        method,
        path: PREFIX + url,
        headers: payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) },
      },
      (response) => {
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > LONGEST_ANSWER) response.destroy(new Error('the answer is too long'))
          else chunks.push(chunk)
        })
        response.on('error', failed)
        response.on('end', () => {
          try {
            const text = Buffer.concat(chunks).toString('utf8')
            resolve({ status: response.statusCode ?? 0, body: text === '' ? null : JSON.parse(text) })
          } catch (error) {
            failed(error as Error)
          }
        })
      },
    )
    call.on('error', failed)
    call.end(payload)
  })
}

/** What a GET over the unix socket at `path` answers, as it comes. @throws FileFlowError with the code and words of the problem */
export function socketDownload(path: string, url: string): Promise<IncomingMessage> {
  return withSocketAddress(
    path,
    (address) =>
      new Promise((resolve, reject) => {
        const call = request({ socketPath: address, method: 'GET', path: PREFIX + url }, (response) => {
          if (response.statusCode === 200) return resolve(response)
          let text = ''
          response.on('data', (chunk: Buffer) => {
            if (text.length < 65_536) text += chunk.toString()
          })
          response.on('end', () => reject(problemOf(text)))
          response.on('error', reject)
        })
        call.on('error', (cause) => reject(new FileFlowError('service.unavailable', 'The connection to the gateway was lost.', { cause })))
        call.end()
      }),
  )
}

/** The error that a problem's text tells. */
export function problemOf(text: string): FileFlowError {
  let problem: { code?: string; detail?: string } = {}
  try {
    problem = JSON.parse(text) as typeof problem
  } catch {
    // not ours: internal
  }
  const known = problem.code !== undefined && Object.hasOwn(ERRORS, problem.code)
  return new FileFlowError(known ? (problem.code as ErrorCode) : 'internal', problem.detail)
}

/** One call's answer. @throws FileFlowError with the code and words of the problem */
export async function ask<T>(transport: Transport, method: Method, path: string, body?: unknown): Promise<T> {
  const answer = await transport(method, path, body)
  if (answer.status < 400) return answer.body as T
  const problem = (answer.body ?? {}) as { code?: string; detail?: string }
  const code: ErrorCode = problem.code && Object.hasOwn(ERRORS, problem.code) ? (problem.code as ErrorCode) : 'internal'
  throw new FileFlowError(code, problem.detail)
}

/** All items of a list, page after page. `path` has its filters already. */
export async function* askAll<T>(transport: Transport, path: string): AsyncGenerator<T> {
  let cursor: string | null = null
  do {
    const more: string = `${path}${path.includes('?') ? '&' : '?'}limit=500${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`
    const page: Page<T> = await ask<Page<T>>(transport, 'GET', more)
    yield* page.items
    cursor = page.next
  } while (cursor !== null)
}
