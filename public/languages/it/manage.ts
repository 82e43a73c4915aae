// Italiano: tutte le aree di impostazione e di guardia, unite.
// Must not hold words itself.
import { destinations } from './destinations.ts'
import { form } from './form.ts'
import { guard } from './guard.ts'
import { rules } from './rules.ts'
import { users } from './users.ts'

export const manage = { ...form, ...destinations, ...rules, ...users, ...guard }
