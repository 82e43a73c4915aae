// Who may call what: every API route with the least role it needs, as data.
// Must not have exceptions elsewhere: a route without a row here stops the start.
import type { Role } from '../core/views.ts'

/** `public` needs no login at all. */
export type Access = Role | 'public'

/** An admin may all; an operator runs the gateway but changes no account and sees no secret; an auditor reads. */
export const RANK = { auditor: 1, operator: 2, admin: 3 } as const satisfies Record<Role, number>

export const ROUTE_ACCESS: Readonly<Record<string, Access>> = {
  'POST /session': 'public',
  'GET /session': 'auditor',
  'DELETE /session': 'auditor',
  'POST /session/password': 'auditor',
  'POST /session/totp': 'auditor',
  'POST /session/totp/confirm': 'auditor',
  'DELETE /session/totp': 'auditor',

  'GET /users': 'auditor',
  'POST /users': 'admin',
  'GET /users/:name': 'auditor',
  'PATCH /users/:name': 'admin',
  'DELETE /users/:name': 'admin',
  'POST /users/:name/enable': 'admin',
  'POST /users/:name/disable': 'admin',
  'POST /users/:name/restore': 'admin',
  'POST /users/:name/files/delete': 'admin',
  'POST /users/:name/recount': 'operator',
  'POST /public-keys/inspect': 'auditor',

  'GET /destinations': 'auditor',
  'POST /destinations': 'admin',
  'GET /destinations/:name': 'auditor',
  'PATCH /destinations/:name': 'admin',
  'DELETE /destinations/:name': 'admin',
  'POST /destinations/:name/enable': 'admin',
  'POST /destinations/:name/disable': 'admin',
  'POST /destinations/:name/restore': 'admin',
  'POST /destinations/:name/test': 'operator',
  'POST /destinations/host-key': 'admin',

  'GET /rules': 'auditor',
  'POST /rules': 'admin',
  'GET /rules/:name': 'auditor',
  'PATCH /rules/:name': 'admin',
  'DELETE /rules/:name': 'admin',
  'POST /rules/:name/enable': 'admin',
  'POST /rules/:name/disable': 'admin',
  'POST /rules/:name/restore': 'admin',
  'POST /rules/simulate': 'auditor',
  'POST /rules/order': 'admin',
  'GET /removed': 'auditor',

  'GET /transfers': 'auditor',
  'GET /transfers/:id': 'auditor',
  'GET /transfers/:id/why': 'auditor',
  'GET /deliveries': 'auditor',
  'GET /deliveries/count': 'auditor',
  'GET /deliveries/:id': 'auditor',
  'GET /deliveries/:id/receipt': 'auditor',
  'GET /receipts/key': 'auditor',
  'POST /deliveries/:id/retry': 'operator',
  'POST /deliveries/:id/cancel': 'operator',
  'POST /deliveries/retry': 'operator',
  'POST /deliveries/cancel': 'operator',

  'GET /sessions': 'auditor',
  'GET /sessions/:id': 'auditor',
  'DELETE /sessions/:id': 'operator',

  'GET /services': 'auditor',
  'POST /services/:name/:verb': 'operator',
  'GET /stats': 'auditor',
  'GET /events': 'auditor',
  'GET /logs': 'auditor',
  'GET /logs/download': 'auditor',
  'GET /audit': 'auditor',
  'GET /audit/verify': 'auditor',
  'GET /audit/export': 'auditor',

  'GET /bans': 'auditor',
  'DELETE /bans/:address': 'operator',
  'GET /settings': 'auditor',
  'POST /settings/reload': 'admin',
  'GET /keys': 'auditor',
  'GET /backup': 'admin',

  'GET /admins': 'auditor',
  'POST /admins': 'admin',
  'GET /admins/:name': 'auditor',
  'PATCH /admins/:name': 'admin',
  'POST /admins/:name/reset-2fa': 'admin',
  'DELETE /admins/:name': 'admin',
  'GET /tokens': 'admin',
  'POST /tokens': 'admin',
  'DELETE /tokens/:name': 'admin',
  'GET /state': 'admin',
  'POST /state/export': 'admin',
  'POST /state/apply': 'admin',
}
