// The browser sessions of admins: login with password and second factor, its end, and what an admin changes about itself.
// Must not keep a cookie or recovery code in clear: only their hashes are stored; TOTP secrets are sealed.
import { type Clock, newSecret } from '../core/clock.ts'
import { FileFlowError } from '../core/errors.ts'
import { householdOf } from '../core/network.ts'
import { formatDuration } from '../core/units.ts'
import type { Actor, Role } from '../core/views.ts'
import type { AdminRow } from '../store/admins.ts'
import type { Store } from '../store/store.ts'
import type { LoginGuard } from './login-guard.ts'
import { createNewcomers } from './newcomers.ts'
import { checkNewPassword, hashPassword, verifyPassword } from './passwords.ts'
import { FEW, GUESSES, NOBODY, ONE, type Refusals } from './refusals.ts'
import { newRecoveryCodes, newTotpSecret, plainCode, recoveryHash, totpStep, totpUri } from './second-factor.ts'
import { digest } from './tokens.ts'

const SESSION_MS = 12 * 3600_000
/** The end of a session moves at most this often: not a write for every request. */
const SLIDE_MS = 60_000
/** Wrong codes after a right password, from wherever: six digits must not be guessed by many addresses together. */
const MOST_WRONG_CODES = 10
const WRONG_CODES_WINDOW_MS = 10 * 60_000
/** Places remembered of an admin. */
const MOST_PLACES = 50

export interface AdminLogin {
  readonly username: string
  readonly role: Role
  readonly session: string
  readonly csrf: string
  readonly expiresAt: number
}

const waitForCodes = (): FileFlowError =>
  new FileFlowError('limit.rate', 'Too many wrong codes. Wait ten minutes.', { detail: { retry_after: WRONG_CODES_WINDOW_MS / 1000 } })

const contextOf = (username: string): string => `admin ${username}`

export function createAdminSessions(store: Store, guard: LoginGuard, refusals: Refusals, clock: Clock) {
  const { admins, adminPlaces, adminSessions, recoveryCodes } = store.accounts
  const newcomers = createNewcomers(clock)
  /** Only of admins that exist and whose password was known. */
  const wrongCodes = new Map<string, { count: number; since: number }>()

  const audit = (
    actor: Pick<Actor, 'name' | 'address'>,
    action: string,
    object: string,
    outcome: 'ok' | 'refused' = 'ok',
    detail: Record<string, unknown> = {},
  ): void => store.audit.append({ at: clock.now(), actor: actor.name, address: actor.address, action, object, outcome, detail })

  /** A wrong password or code: so many of them bring a ban. @param slowed it was the last one of newcomers for a while */
  const fail = async (username: string, address: string, reason: string, slowed = false): Promise<never> => {
    const banned = guard.failed(address)
    const detail = { reason, ...(banned ? { banned } : {}), ...(slowed ? { slowed } : {}) }
    await refusals.add({ action: 'admin.login', actor: username.slice(0, 64), address, object: 'session', detail }, GUESSES)
    throw new FileFlowError('auth.failed')
  }
  /** What no ban puts an end to: a few in full, the rest as a number. */
  const refused = (username: string, address: string, reason: string): Promise<void> =>
    refusals.add({ action: 'admin.login', actor: username.slice(0, 64), address, object: 'session', detail: { reason } }, FEW)
  const refuseBanned = async (action: 'admin.login' | 'admin.confirm', actor: string, address: string): Promise<void> => {
    const shut = guard.refusal(address)
    if (!shut) return
    await refusals.add({ action, actor: actor.slice(0, 64), address, object: 'session', detail: { reason: shut.reason } }, ONE, shut.until)
    throw new FileFlowError('auth.banned')
  }

  /** @returns what was used; null when the code is wrong. Runs in the transaction of the login. */
  const takeCode = (row: AdminRow, typed: string): 'totp' | 'recovery code' | null => {
    const secret = store.secrets.open(row.totp_secret!, contextOf(row.username)) as string
    const step = totpStep(secret, plainCode(typed), clock.now())
    if (step !== null) return admins.takeStep(row.username, step) ? 'totp' : null
    return recoveryCodes.use(row.username, recoveryHash(typed)) ? 'recovery code' : null
  }

  /** Where nobody who owns this name logged in before. */
  const isNew = (username: string, address: string): boolean => !guard.trusts(address) && !adminPlaces.has(username, householdOf(address))
  /** Whoever brings a code of the phone is no guesser: one try of a password takes them a third of a million codes. */
  const hasCode = ({ username, totp_secret }: AdminRow, totp = ''): boolean =>
    totp_secret !== null && totpStep(store.secrets.open(totp_secret, contextOf(username)) as string, plainCode(totp), clock.now()) !== null

  const countWrongCode = (username: string): void => {
    const now = clock.now()
    const before = wrongCodes.get(username)
    if (before && now - before.since < WRONG_CODES_WINDOW_MS) before.count++
    else wrongCodes.set(username, { count: 1, since: now })
  }
  const tooManyWrongCodes = (username: string): boolean => {
    const record = wrongCodes.get(username)
    return record !== undefined && clock.now() - record.since < WRONG_CODES_WINDOW_MS && record.count >= MOST_WRONG_CODES
  }

  /** The admin behind a cookie who has just given the password again. */
  const confirmed = async (session: string, password: string, address: string): Promise<AdminRow> => {
    const live = adminSessions.get(digest(session))
    const row = live && admins.get(live.username)
    if (!row) throw new FileFlowError('auth.required')
    await refuseBanned('admin.confirm', row.username, address)
    if (!(await verifyPassword(password, row.password_hash))) {
      guard.failed(address)
      store.group.now(() => audit({ name: row.username, address }, 'admin.confirm', row.username, 'refused'))
      throw new FileFlowError('permission.denied', 'The present password is wrong.')
    }
    return row
  }

  return {
    /**
     * @param totp a code of the authenticator, or a recovery code
     * @throws FileFlowError `auth.failed`, `auth.banned`; `auth.totp_required` when only the code is missing; `limit.rate` after many wrong codes, and
     * from a new place after many wrong passwords from such places
     */
    async login(username: string, password: string, address: string, totp?: string): Promise<AdminLogin> {
      await refuseBanned('admin.login', username, address)
      const row = admins.get(username)
      const newcomer = isNew(username, address) && !(row && hasCode(row, totp))
      const wait = newcomer ? newcomers.wait(username) : 0
      if (wait > 0) {
        await refused(username, address, 'too many guesses')
        throw new FileFlowError(
          'limit.rate',
          `Too many wrong passwords for this account from new addresses. Wait ${formatDuration(wait)}, or log in with a code of the second factor or from where you did before.`,
          { detail: { retry_after: Math.ceil(wait / 1000) } },
        )
      }
      const slowed = newcomer && newcomers.tries(username)
      const fits = await verifyPassword(password, row?.password_hash ?? null)
      if (newcomer && fits) newcomers.wasRight(username)
      if (!row) return fail(username, address, 'unknown admin', slowed)
      if (!fits) return fail(username, address, 'wrong password', slowed)
      if (row.enabled !== 1) return fail(username, address, 'disabled')
      if (row.totp_secret !== null) {
        if (totp === undefined || totp.trim() === '') {
          // who gets this far knows the password: that must be seen
          await refused(username, address, 'code missing')
          throw new FileFlowError('auth.totp_required')
        }
        if (tooManyWrongCodes(username)) {
          await refused(username, address, 'too many wrong codes')
          throw waitForCodes()
        }
      }
      const session = newSecret(32)
      const csrf = newSecret(24)
      const now = clock.now()
      const expiresAt = now + SESSION_MS
      const done = store.group.now(() => {
        const present = admins.get(username)
        // the account may have been changed while the password was checked: the change wins
        if (present?.password_hash !== row.password_hash || present.enabled !== 1) throw new FileFlowError('auth.failed')
        if (present.totp_secret !== null && row.totp_secret === null) throw new FileFlowError('auth.totp_required')
        const factor = present.totp_secret === null ? 'none' : takeCode(present, totp ?? '')
        if (factor === null) return false
        adminSessions.expire(now)
        adminSessions.insert({ id_hash: digest(session), username, csrf, created_at: now, expires_at: expiresAt })
        admins.loggedIn(username, now)
        adminPlaces.note(username, householdOf(address), now, MOST_PLACES)
        audit({ name: username, address }, 'admin.login', 'session', 'ok', factor === 'none' ? {} : { second_factor: factor })
        return true
      })
      if (!done) {
        countWrongCode(username)
        return fail(username, address, 'wrong code')
      }
      guard.succeeded(address)
      wrongCodes.delete(username)
      return { username, role: row.role, session, csrf, expiresAt }
    },
    /** Somebody asked for logins faster than is taken: nobody looked at what was sent. */
    tooFast(address: string): Promise<void> {
      return refusals.add(
        { action: 'admin.login', actor: NOBODY, address, object: 'session', detail: { reason: 'too many requests' } },
        ONE,
      )
    },
    logout(session: string, address: string): void {
      store.group.now(() => {
        const row = adminSessions.get(digest(session))
        if (!row) return
        adminSessions.remove(row.id_hash)
        audit({ name: row.username, address }, 'admin.logout', 'session')
      })
    },
    /** @param acted false where no person did anything, such as a page that reads itself anew: its idle time goes on */
    bySession(session: string, acted = true): { username: string; role: Role; csrf: string; totp_enabled: boolean } | null {
      const row = adminSessions.get(digest(session))
      const now = clock.now()
      if (!row || row.expires_at <= now) return null
      if (acted && row.expires_at - now < SESSION_MS - SLIDE_MS) adminSessions.slide(row.id_hash, now + SESSION_MS)
      return { username: row.username, role: row.role, csrf: row.csrf, totp_enabled: row.totp === 1 }
    },
    /** Ends all other sessions of this admin. @throws FileFlowError `permission.denied` when `present` is wrong */
    async changePassword(session: string, present: string, next: string, address: string): Promise<void> {
      checkNewPassword(next)
      const row = await confirmed(session, present, address)
      const hash = await hashPassword(next)
      store.group.now(() => {
        if (admins.get(row.username)?.password_hash !== row.password_hash) throw new FileFlowError('state.conflict')
        admins.setPassword(row.username, hash)
        adminSessions.removeAll(row.username, digest(session))
        audit({ name: row.username, address }, 'admin.password', row.username)
      })
    },
    /** A secret that counts once a code of it was entered. */
    async beginTotp(session: string, password: string, address: string): Promise<{ secret: string; uri: string }> {
      const { username } = await confirmed(session, password, address)
      const secret = newTotpSecret()
      store.group.now(() => {
        admins.setPendingTotp(username, store.secrets.seal(secret, contextOf(username)))
        audit({ name: username, address }, 'admin.totp_begin', username)
      })
      return { secret, uri: totpUri(username, secret) }
    },
    /** @returns the recovery codes, shown this once */
    confirmTotp(session: string, code: string, address: string): { recovery_codes: string[] } {
      const live = adminSessions.get(digest(session))
      const row = live && admins.get(live.username)
      if (!row) throw new FileFlowError('auth.required')
      const { username } = row
      if (row.totp_pending === null) throw new FileFlowError('state.conflict', 'Ask for a secret first.')
      if (tooManyWrongCodes(username)) throw waitForCodes()
      const secret = store.secrets.open(row.totp_pending, contextOf(username)) as string
      const step = totpStep(secret, plainCode(code), clock.now())
      if (step === null) {
        countWrongCode(username)
        throw new FileFlowError('request.invalid', 'code: is not the one of this moment; check the clock of the phone')
      }
      const codes = newRecoveryCodes()
      store.group.now(() => {
        admins.setTotp(username, row.totp_pending, step)
        recoveryCodes.replace(username, codes.map(recoveryHash))
        adminSessions.removeAll(username, digest(session))
        audit({ name: username, address }, 'admin.totp_on', username)
      })
      return { recovery_codes: codes }
    },
    async removeTotp(session: string, password: string, address: string): Promise<void> {
      const { username } = await confirmed(session, password, address)
      store.group.now(() => {
        admins.setTotp(username, null, null)
        recoveryCodes.replace(username, [])
        audit({ name: username, address }, 'admin.totp_off', username)
      })
    },
  }
}
