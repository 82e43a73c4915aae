// The eight routes that users, destinations and rules have alike.
// Must not know what differs between them.
import type { TSchema } from 'typebox'
import type { Patch, Resource } from '../control-plane.ts'
import { type App, actorOf, described, Name, PageQuery } from '../request.ts'

/** Registers list, create, get, update, remove, restore, enable and disable under `path` (`/users`). */
export function resourceRoutes<Spec, View>(
  app: App,
  path: string,
  resource: Resource<Spec, View>,
  schemas: { readonly spec: TSchema; readonly patch: TSchema },
): void {
  const tag = path.slice(1)
  app.get(path, { schema: described(tag, `List ${tag}`, { querystring: PageQuery }) }, async (request) => resource.list(request.query))
  app.post(path, { schema: described(tag, `Create one of ${tag}`, { body: schemas.spec }) }, async (request, reply) => {
    reply.code(201)
    return resource.create(actorOf(request), request.body as Spec)
  })
  app.get(`${path}/:name`, { schema: described(tag, `Read one of ${tag}`, { params: Name }) }, async (request) =>
    resource.get(request.params.name),
  )
  app.patch(
    `${path}/:name`,
    { schema: described(tag, `Change one of ${tag}; null takes a key back to its default`, { params: Name, body: schemas.patch }) },
    async (request) => resource.update(actorOf(request), request.params.name, request.body as Patch<Spec>),
  )
  app.delete(`${path}/:name`, { schema: described(tag, `Remove one of ${tag}`, { params: Name }) }, async (request, reply) => {
    await resource.remove(actorOf(request), request.params.name)
    return reply.code(204).send()
  })
  app.post(
    `${path}/:name/restore`,
    { schema: described(tag, `Take the removal of one of ${tag} back, within 30 minutes; it is as it was`, { params: Name }) },
    async (request) => resource.restore(actorOf(request), request.params.name),
  )
  for (const [verb, enabled] of [
    ['enable', true],
    ['disable', false],
  ] as const) {
    app.post(`${path}/:name/${verb}`, { schema: described(tag, `${verb} one of ${tag}`, { params: Name }) }, async (request) =>
      resource.setEnabled(actorOf(request), request.params.name, enabled),
    )
  }
}
