// The API's description (OpenAPI 3.1) and its page, from the routes themselves and our own files alone.
// Must not be shown to who is not logged in.
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import { FileFlowError } from '../core/errors.ts'
import type { Identify } from './authentication.ts'
import type { App } from './request.ts'
import { SHAPES } from './shapes.ts'

/** Before the routes: they are collected as they are registered. */
export async function collectDescription(app: App, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'FileFlow',
        version,
        description:
          'The admin API. Lists answer `items` and `next`; give `next` as `cursor` for the next page. Errors are application/problem+json (RFC 9457) with a stable `code`. Unknown fields are refused. Secrets are write-only.',
      },
      components: {
        securitySchemes: {
          token: { type: 'http', scheme: 'bearer', description: 'a token (ff_…) made under /api/v1/tokens' },
          session: { type: 'apiKey', in: 'cookie', name: 'fileflow_session', description: 'unsafe methods need x-csrf-token, too' },
        },
      },
      security: [{ token: [] }, { session: [] }],
    },
    refResolver: {
      buildLocalReference: (json, _base, _fragment, at) => (typeof json.$id === 'string' && json.$id in SHAPES ? json.$id : `def-${at}`),
    },
  })
}

/** `/api/openapi.json`; with `page` also `/api/docs`. */
export async function serveDescription(app: App, identify: Identify, page: boolean): Promise<void> {
  app.get('/api/openapi.json', { schema: { hide: true } }, async (request) => {
    if (!identify(request)) throw new FileFlowError('auth.required')
    return app.swagger()
  })
  if (!page) return
  await app.register(swaggerUi, {
    routePrefix: '/api/docs',
    // no field for another document's address: this page describes this gateway
    theme: { title: 'FileFlow API', css: [{ filename: 'fileflow.css', content: '.topbar { display: none }' }] },
    uiConfig: { docExpansion: 'none', filter: true, tryItOutEnabled: false },
    uiHooks: {
      onRequest: async (request) => {
        if (!identify(request)) throw new FileFlowError('auth.required')
      },
    },
  })
}
