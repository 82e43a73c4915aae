// Users, destinations, rules, and all three at once as a state file.
// Must not validate beyond the schema; the control plane's verbs do.
import Type from 'typebox'
import { DestinationPatch, DestinationSpec } from '../../core/destination.ts'
import { FileFlowError } from '../../core/errors.ts'
import { RulePatch, RuleSpec } from '../../core/rule.ts'
import { ResourceName } from '../../core/schema.ts'
import { LEAST_PASSPHRASE } from '../../core/sealed.ts'
import { StateFile } from '../../core/state-file.ts'
import { UserPatch, UserSpec } from '../../core/user.ts'
import { type App, actorOf, described, isOn, Name, type RouteContext, Switch } from '../request.ts'
import { resourceRoutes } from './resource.ts'

const STATE_LIMIT = 32 * 2 ** 20
const Draft = { rules: Type.Optional(Type.Array(RuleSpec, { maxItems: 10_000, description: 'instead of the stored rules' })) }

export function declaredRoutes(app: App, { control }: RouteContext): void {
  resourceRoutes(app, '/users', control.users, { spec: UserSpec, patch: UserPatch })
  resourceRoutes(app, '/destinations', control.destinations, { spec: DestinationSpec, patch: DestinationPatch })
  resourceRoutes(app, '/rules', control.rules, { spec: RuleSpec, patch: RulePatch })

  app.get('/removed', { schema: described('state', 'What was removed and can be restored, newest first', {}) }, async () => ({
    items: [control.users, control.destinations, control.rules]
      .flatMap((kind) => kind.removed())
      .sort((a, b) => b.removed_at.localeCompare(a.removed_at)),
    next: null,
  }))

  app.post(
    '/users/:name/files/delete',
    {
      schema: described('users', 'Delete all files in the home of a user; mounts stay', {
        params: Name,
        body: Type.Object(
          { confirm: Type.String({ maxLength: 128, description: 'the name of the user once more' }) },
          { additionalProperties: false },
        ),
      }),
    },
    async (request) => {
      if (request.body.confirm !== request.params.name) throw new FileFlowError('request.invalid', 'confirm: must be the name of the user')
      return control.users.deleteFiles(actorOf(request), request.params.name)
    },
  )

  app.post(
    '/users/:name/recount',
    { schema: described('users', 'Count on the disk what counts for the quota of a user', { params: Name }) },
    async (request) => control.users.recount(actorOf(request), request.params.name),
  )

  app.post(
    '/destinations/:name/test',
    { schema: described('destinations', 'Connect, log in, write, verify and remove a probe file', { params: Name }) },
    async (request, reply) => {
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      return control.destinations.test(actorOf(request), request.params.name, gone.signal)
    },
  )

  app.post(
    '/destinations/host-key',
    {
      schema: described('destinations', 'The host keys that an SSH server shows now; none is trusted by it', {
        body: Type.Object(
          { host: Type.String({ minLength: 1, maxLength: 253 }), port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })) },
          { additionalProperties: false },
        ),
      }),
      config: { rateLimit: { max: 30, timeWindow: 60_000 } },
    },
    async (request, reply) => {
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const { host, port = 22 } = request.body
      return { items: await control.destinations.hostKeys(actorOf(request), host, port, gone.signal), next: null }
    },
  )

  app.post(
    '/rules/simulate',
    {
      schema: described('rules', 'Which rules would match a file, and why the others do not', {
        body: Type.Union([
          Type.Object(
            {
              user: Type.String({ minLength: 1, maxLength: 4096, description: 'or watch:/a/folder, from which path is seen' }),
              path: Type.String({ minLength: 1, maxLength: 4096 }),
              ...Draft,
            },
            { additionalProperties: false },
          ),
          Type.Object(
            { days: Type.Integer({ minimum: 1, maximum: 400, description: 'over the uploads of the last days' }), ...Draft },
            { additionalProperties: false },
          ),
        ]),
      }),
      bodyLimit: STATE_LIMIT,
    },
    async ({ body }) => ('days' in body ? control.rules.simulateHistory(body) : control.rules.simulate(body)),
  )

  app.post(
    '/rules/order',
    {
      schema: described('rules', 'The order in which rules are asked; each is named once', {
        body: Type.Object({ names: Type.Array(ResourceName, { maxItems: 10_000 }) }, { additionalProperties: false }),
      }),
    },
    async (request, reply) => {
      await control.rules.order(actorOf(request), request.body.names)
      return reply.code(204).send()
    },
  )

  app.get('/state', { schema: described('state', 'Export users, destinations and rules as a state file', {}) }, async (request) =>
    control.state.export(actorOf(request)),
  )

  app.post(
    '/state/export',
    {
      schema: described('state', 'Export as a state file, with the secrets of destinations sealed under a passphrase', {
        body: Type.Object({ passphrase: Type.String({ minLength: LEAST_PASSPHRASE, maxLength: 1024 }) }, { additionalProperties: false }),
      }),
      config: { rateLimit: { max: 10, timeWindow: 60_000 } },
    },
    async (request) => control.state.exportSealed(actorOf(request), request.body.passphrase),
  )

  app.post(
    '/state/apply',
    {
      schema: described('state', 'Make users, destinations and rules as the state file declares them, in one transaction', {
        body: StateFile,
        querystring: Type.Object({ dry_run: Type.Optional(Switch), prune: Type.Optional(Switch) }, { additionalProperties: false }),
      }),
      bodyLimit: STATE_LIMIT,
    },
    async (request) => {
      const options = { dryRun: isOn(request.query.dry_run), prune: isOn(request.query.prune) }
      return { items: await control.state.apply(actorOf(request), request.body, options), next: null }
    },
  )
}
