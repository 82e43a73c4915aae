// Every word the page says, in English, one file per area. This is the model: another language is a folder of this shape.
// Must not hold words itself.
import { facts } from './facts.ts'
import { keys } from './keys.ts'
import { manage } from './manage.ts'
import { movements } from './movements.ts'
import { overview } from './overview.ts'
import { recorded } from './recorded.ts'
import { shell } from './shell.ts'

export const en = {
  ...shell,
  ...overview,
  ...movements,
  ...manage,
  ...recorded,
  ...facts,
  ...keys,
}

export type Strings = typeof en
