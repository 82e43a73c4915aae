// The version of this FileFlow, from package.json.
// Must not do anything else.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

export const VERSION: string = (JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')) as { version: string })
  .version
