// Errors on their way out: application/problem+json (RFC 9457) with the catalogue's code.
// Must not let a stack trace, a cause or an unexpected message reach the client.
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { ERRORS, type ErrorCode, FileFlowError } from '../core/errors.ts'
import { errorFields, type Logger } from '../core/log.ts'

export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: ErrorCode
  readonly detail: string
  readonly [extra: string]: unknown
}

export function toProblem(
  code: ErrorCode,
  detail: string,
  status: number = ERRORS[code].http,
  extra: Record<string, unknown> = {},
): Problem {
  return { ...extra, type: `urn:fileflow:error:${code}`, title: ERRORS[code].text, status, code, detail }
}

/** Sends `problem`; the answer is the reply, for `return`. */
export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  return reply
    .code(problem.status)
    .header('cache-control', 'no-store')
    .type('application/problem+json; charset=utf-8')
    .serializer((value: unknown) => JSON.stringify(value))
    .send(problem)
}

/** Fastify's own refusals (size, media type, bad JSON) in our words, by status. */
const REFUSALS: Readonly<Record<number, string>> = {
  400: 'The request cannot be read: its body is not valid JSON, or its URL is malformed.',
  413: 'The request is larger than allowed.',
  415: 'The body must be application/json.',
}

/** After which what is busy may have room again. */
const SOON_S = 5

export function errorHandler(log: Logger) {
  return (error: FastifyError | FileFlowError, request: FastifyRequest, reply: FastifyReply): void => {
    if (reply.raw.headersSent) {
      log.warn('http.cut', 'an answer broke off', { method: request.method, url: request.routeOptions.url ?? '', ...errorFields(error) })
      reply.raw.destroy()
      return
    }
    if (error instanceof FileFlowError) {
      if (ERRORS[error.code].http >= 500) log.warn('http.failed', error.message, { method: request.method, ...errorFields(error) })
      const extra = error.detail ? { fields: error.detail } : {}
      // whoever must wait is told how long: the limiter of requests says it by itself
      if (error.code === 'limit.rate' && !reply.hasHeader('retry-after')) reply.header('retry-after', error.detail?.retry_after ?? SOON_S)
      sendProblem(reply, toProblem(error.code, error.message, undefined, extra))
      return
    }
    const status = error.statusCode
    if (status === 403) {
      // the file server's word for paths that it does not serve: whether there is anything is nobody's business
      sendProblem(reply, toProblem('resource.not_found', 'There is nothing under this address.'))
      return
    }
    if (typeof status === 'number' && status >= 400 && status < 500) {
      sendProblem(reply, toProblem('request.invalid', REFUSALS[status] ?? ERRORS['request.invalid'].text, status))
      return
    }
    log.error('http.internal', 'an unexpected error in the admin API', {
      method: request.method,
      url: request.routeOptions.url ?? '',
      ...errorFields(error),
    })
    sendProblem(reply, toProblem('internal', 'Something unexpected went wrong; the log has the cause.'))
  }
}
