// The admin UI as files: hashed assets for ever, index.html for every page, a word of advice when it was never built.
// Must not serve anything outside publicDir.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyReply } from 'fastify'
import { sendProblem, toProblem } from './problem.ts'
import type { App } from './request.ts'

const NOT_BUILT = `<!doctype html><html lang="en"><meta charset="utf-8"><title>FileFlow</title>
<h1>The admin page is not built yet</h1><p>Run <code>npm run build</code> in the checkout and start the gateway again.
The HTTP API under <code>/api/v1</code> works without it.</p></html>`

export async function servePages(app: App, publicDir: string): Promise<void> {
  const built = existsSync(join(publicDir, 'index.html'))
  if (built) {
    await app.register(fastifyStatic, {
      root: publicDir,
      index: false,
      cacheControl: false,
      preCompressed: true,
      setHeaders: (reply, path) => {
        reply.header('cache-control', path.includes('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache')
      },
    })
  }
  const page = (reply: FastifyReply) =>
    built ? reply.sendFile('index.html') : reply.code(503).type('text/html; charset=utf-8').send(NOT_BUILT)
  if (built) app.get('/', async (_request, reply) => page(reply))
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0]!
    const forPage = (request.method === 'GET' || request.method === 'HEAD') && !/^\/(api|assets|metrics)(\/|$)/.test(path)
    if (forPage) return page(reply)
    return sendProblem(reply, toProblem('resource.not_found', 'There is nothing under this address.'))
  })
}
