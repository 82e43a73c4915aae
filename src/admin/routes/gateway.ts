// The gateway's own things: its effective settings, keys and certificates.
// Must not answer a secret or a private key.
import Type from 'typebox'
import { type App, actorOf, described, type RouteContext } from '../request.ts'

const strict = { additionalProperties: false } as const

export function gatewayRoutes(app: App, { control }: RouteContext): void {
  app.get('/settings', { schema: described('settings', 'The configuration in force, each key with its source', {}) }, async () => ({
    items: control.settings.list(),
    next: null,
  }))
  app.post(
    '/settings/reload',
    { schema: described('settings', 'Read configuration and certificates again, without dropping sessions', {}) },
    async (request) => control.settings.reload(actorOf(request)),
  )
  app.get('/keys', { schema: described('settings', 'Host keys and certificates: fingerprints and ends', {}) }, async () => ({
    items: await control.settings.keys(),
    next: null,
  }))
  app.get(
    '/backup',
    {
      schema: described('settings', 'Database, keys and certificates as one file, consistent while the gateway runs', {}),
      config: { rateLimit: { max: 10, timeWindow: 60_000 } },
    },
    async (request, reply) => {
      const stream = await control.backup(actorOf(request))
      return reply
        .type('application/octet-stream')
        .header('content-disposition', 'attachment; filename="fileflow-backup.tar.gz"')
        .send(stream)
    },
  )
  app.post(
    '/public-keys/inspect',
    {
      schema: described('users', 'What a public key is, before it is trusted', {
        body: Type.Object({ public_key: Type.String({ minLength: 1, maxLength: 16_384 }) }, strict),
      }),
    },
    async (request) => control.inspectPublicKey(request.body.public_key),
  )
}
