// Every word the page says, in English, one file per area. This is the model: another language is a folder of this shape.
// Must not hold words itself.
import { form } from './form.ts'
import { movements } from './movements.ts'
import { overview } from './overview.ts'
import { shell } from './shell.ts'
import { users } from './users.ts'

export const en = {
  ...shell,
  ...overview,
  ...movements,
  ...form,
  ...users,
}

export type Strings = typeof en
