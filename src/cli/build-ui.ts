// Makes sure that the admin page is built: once, and again when its sources are newer.
// Must not fail the start where an older bundle will do.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { errorFields, type Logger } from '../core/log.ts'

/** Builds `dist/public` under `root` (the checkout) if it is missing or older than any source. @returns whether a bundle is there. */
export async function ensureUiBuilt(root: string, log: Logger): Promise<boolean> {
  const page = join(root, 'dist', 'public', 'index.html')
  const config = join(root, 'vite.config.ts')
  const builtAt = existsSync(page) ? statSync(page).mtimeMs : null
  // An installation without sources (a package, an image) has only what was built for it.
  if (!existsSync(config) || !existsSync(join(root, 'public'))) return builtAt !== null
  const newest = Math.max(statSync(config).mtimeMs, newestIn(join(root, 'public')))
  if (builtAt !== null && builtAt >= newest) return true
  let build: typeof import('vite').build
  try {
    ;({ build } = await import('vite'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    log.warn(
      'ui.stale',
      builtAt === null
        ? 'the admin page is not built and vite is not installed: run npm ci, then npm run build'
        : 'the admin page is older than its sources and vite is not installed: serving the old one',
    )
    return builtAt !== null
  }
  log.info('ui.building', 'building the admin page')
  try {
    await build({ root: join(root, 'public'), configFile: config, logLevel: 'error' })
    return true
  } catch (error) {
    log.error('ui.failed', 'the admin page could not be built', errorFields(error))
    return builtAt !== null && existsSync(page)
  }
}

function newestIn(folder: string): number {
  return Math.max(0, ...readdirSync(folder, { recursive: true }).map((name) => statSync(join(folder, String(name))).mtimeMs))
}
