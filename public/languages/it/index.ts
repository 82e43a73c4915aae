// Ogni parola della pagina, in italiano: la stessa forma dell'inglese, un file per area.
// Must not hold words itself.
import type { Strings } from '../en/index.ts'
import { facts } from './facts.ts'
import { keys } from './keys.ts'
import { manage } from './manage.ts'
import { movements } from './movements.ts'
import { overview } from './overview.ts'
import { recorded } from './recorded.ts'
import { shell } from './shell.ts'

export const it: Strings = {
  ...shell,
  ...overview,
  ...movements,
  ...manage,
  ...recorded,
  ...facts,
  ...keys,
}
