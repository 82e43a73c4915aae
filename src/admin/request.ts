// What a request may look like: the pieces of schema that routes share, and the compiler that refuses what does not fit, in words.
// Must not know any one resource.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest, FastifySchema, RawServerDefault } from 'fastify'
import Type, { type TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { FileFlowError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { checker, oneOf } from '../core/schema.ts'
import type { PageRequest } from '../core/views.ts'
import type { Actor, ControlPlane } from './control-plane.ts'

export type App = FastifyInstance<RawServerDefault, IncomingMessage, ServerResponse, FastifyBaseLogger, TypeBoxTypeProvider>

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the authentication hook; null on public routes. */
    actor: Actor | null
  }
  interface FastifyContextConfig {
    /** What no person asks for by hand, such as the event stream: it does not count as use of a login. */
    unattended?: boolean
  }
}

/** All that a group of routes is given. */
export interface RouteContext {
  readonly control: ControlPlane
  readonly log: Logger
}

/** The one who asks. @throws FileFlowError `auth.required` */
export function actorOf(request: FastifyRequest): Actor {
  if (!request.actor) throw new FileFlowError('auth.required')
  return request.actor
}

const strict = { additionalProperties: false } as const

export const Name = Type.Object({ name: Type.String({ minLength: 1, maxLength: 128 }) }, strict)
export const Id = Type.Object({ id: Type.String({ minLength: 1, maxLength: 64 }) }, strict)

export const PageFields = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, description: 'how many, 1 to 1000; default 50' })),
  cursor: Type.Optional(Type.String({ maxLength: 1024, description: 'the `next` of the answer before' })),
  q: Type.Optional(Type.String({ maxLength: 1024, description: 'part of a name or path' })),
}
export const PageQuery = Type.Object(PageFields, strict)

export const Moment = Type.String({ maxLength: 40, description: 'an ISO 8601 time, or milliseconds since 1970' })

/** `?dry_run`, `?dry_run=true`, `?dry_run=1`. */
export const Switch = oneOf(['', 'true', '1', 'false', '0'] as const)
export const isOn = (value: string | undefined): boolean => value === '' || value === 'true' || value === '1'

/** Milliseconds. @throws FileFlowError `request.invalid` */
export function toMoment(text: string, key: string): number {
  const at = /^\d{1,15}$/.test(text) ? Number(text) : Date.parse(text)
  if (!Number.isFinite(at)) throw new FileFlowError('request.invalid', `${key}: an ISO 8601 time, or milliseconds since 1970`)
  return at
}

/** The query as a filter: times read, absent keys absent. */
export function toFilter<T extends PageRequest & { since?: string; until?: string }>(
  query: T,
): Omit<T, 'since' | 'until'> & { since?: number; until?: number } {
  const { since, until, ...rest } = query
  return {
    ...rest,
    ...(since === undefined ? {} : { since: toMoment(since, 'since') }),
    ...(until === undefined ? {} : { until: toMoment(until, 'until') }),
  }
}

const PART = { body: 'body', querystring: 'query', params: 'path', headers: 'headers' } as const

/** Text becomes a number only where text is all there is: in the query and the path, never in a body. */
export function validatorCompiler({ schema, httpPart }: { schema: unknown; httpPart?: string }) {
  const check = checker(schema as TSchema)
  const what = PART[httpPart as keyof typeof PART] ?? 'request'
  const textual = httpPart === 'querystring' || httpPart === 'params'
  return (value: unknown): { value: unknown } | { error: FileFlowError } => {
    try {
      return { value: check.parse(textual ? Value.Convert(schema as TSchema, value) : value, what) }
    } catch (error) {
      if (error instanceof FileFlowError) return { error }
      throw error
    }
  }
}

/** A schema for the OpenAPI description, with the group it is listed under. */
export const described = <S extends FastifySchema>(tag: string, summary: string, schema: S): S & { tags: string[]; summary: string } => ({
  ...schema,
  tags: [tag],
  summary,
})
