// `user` and `admin`: accounts from the command line.
// Must not take a password as an argument.
import { readFileSync } from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import { type AdminView, ROLES, type UserView } from '../core/views.ts'
import { ask, askAll } from './api-client.ts'
import { type Command, type CommandIo, parse, printable, table, UsageError } from './command.ts'
import { readPassword } from './prompt.ts'

const STDIN = { 'password-stdin': { type: 'boolean' } } as const

type Verb = (args: string[], io: CommandIo) => Promise<void>

const name = (positionals: string[]): string => positionals[0]!
const at = (path: string, who: string): string => `${path}/${encodeURIComponent(who)}`

const userVerbs: Readonly<Record<string, Verb>> = {
  async list(args, io) {
    const { values } = parse(args, { json: { type: 'boolean' } }, [0, 0])
    const users: UserView[] = []
    for await (const user of askAll<UserView>(await io.transport(values.config), '/users')) users.push(user)
    if (values.json) io.stdout.write(`${JSON.stringify(users, null, 2)}\n`)
    else if (users.length === 0) io.stdout.write('No users yet. Add one: fileflow user add NAME\n')
    else
      io.stdout.write(
        table(
          ['USER', 'PARTNER', 'STATE', 'PROTOCOLS', 'SESSIONS', 'LAST LOGIN'],
          users.map((u) => [
            u.username,
            u.partner || '-',
            u.enabled ? 'enabled' : 'disabled',
            u.protocols.join(','),
            u.sessions,
            u.last_login ?? 'never',
          ]),
        ),
      )
  },
  async add(args, io) {
    const { values, positionals } = parse(
      args,
      {
        ...STDIN,
        key: { type: 'string', multiple: true },
        'no-password': { type: 'boolean' },
        home: { type: 'string' },
        partner: { type: 'string' },
      },
      [1, 1],
    )
    const keys = (values.key ?? []).map(readKey)
    if (values['no-password'] && keys.length === 0) throw new UsageError('--no-password needs a --key')
    const password = values['no-password']
      ? undefined
      : await readPassword(io, values['password-stdin'] === true, `Password of ${name(positionals)}`)
    await ask(await io.transport(values.config), 'POST', '/users', {
      username: name(positionals),
      ...(password === undefined ? {} : { password }),
      ...(keys.length === 0 ? {} : { public_keys: keys }),
      ...(values.home === undefined ? {} : { home: values.home }),
      ...(values.partner === undefined ? {} : { partner: values.partner }),
    })
    io.stdout.write(`User ${name(positionals)} added.\n`)
  },
  async passwd(args, io) {
    const { values, positionals } = parse(args, STDIN, [1, 1])
    const password = await readPassword(io, values['password-stdin'] === true, `New password of ${name(positionals)}`)
    await ask(await io.transport(values.config), 'PATCH', at('/users', name(positionals)), { password })
    io.stdout.write(`The password of ${name(positionals)} is set.\n`)
  },
  enable: (args, io) =>
    call(
      args,
      io,
      'POST',
      (who) => `${at('/users', who)}/enable`,
      (who) => `User ${who} is enabled.`,
    ),
  disable: (args, io) =>
    call(
      args,
      io,
      'POST',
      (who) => `${at('/users', who)}/disable`,
      (who) => `User ${who} is disabled; live sessions were ended.`,
    ),
  async recount(args, io) {
    const { values, positionals } = parse(args, {}, [1, 1])
    const { bytes, files } = await ask<{ bytes: number; files: number }>(
      await io.transport(values.config),
      'POST',
      `${at('/users', name(positionals))}/recount`,
    )
    io.stdout.write(`${name(positionals)} has ${files} files of ${bytes} bytes.\n`)
  },
  remove: (args, io) =>
    call(
      args,
      io,
      'DELETE',
      (who) => at('/users', who),
      (who) => `User ${who} is removed. The files stay.`,
    ),
}

const adminVerbs: Readonly<Record<string, Verb>> = {
  async list(args, io) {
    const { values } = parse(args, { json: { type: 'boolean' } }, [0, 0])
    const admins: AdminView[] = []
    for await (const admin of askAll<AdminView>(await io.transport(values.config), '/admins')) admins.push(admin)
    if (values.json) io.stdout.write(`${JSON.stringify(admins, null, 2)}\n`)
    else
      io.stdout.write(
        table(
          ['ADMIN', 'ROLE', 'STATE', '2FA', 'LAST LOGIN'],
          admins.map((a) => [
            a.username,
            a.role,
            a.enabled ? 'enabled' : 'disabled',
            a.totp_enabled ? 'on' : 'off',
            a.last_login ?? 'never',
          ]),
        ),
      )
  },
  async add(args, io) {
    const { values, positionals } = parse(args, { ...STDIN, role: { type: 'string', default: 'admin' } }, [1, 1])
    if (!(ROLES as readonly string[]).includes(values.role)) throw new UsageError(`--role: allowed: ${ROLES.join(', ')}`)
    const password = await readPassword(io, values['password-stdin'] === true, `Password of ${name(positionals)}`)
    await ask(await io.transport(values.config), 'POST', '/admins', { username: name(positionals), password, role: values.role })
    io.stdout.write(`Admin ${name(positionals)} added (${values.role}).\n`)
  },
  async passwd(args, io) {
    const { values, positionals } = parse(args, STDIN, [1, 1])
    const password = await readPassword(io, values['password-stdin'] === true, `New password of ${name(positionals)}`)
    await ask(await io.transport(values.config), 'PATCH', at('/admins', name(positionals)), { password })
    io.stdout.write(`The password of ${name(positionals)} is set.\n`)
  },
  remove: (args, io) =>
    call(
      args,
      io,
      'DELETE',
      (who) => at('/admins', who),
      (who) => `Admin ${who} is removed.`,
    ),
  'reset-2fa': (args, io) =>
    call(
      args,
      io,
      'POST',
      (who) => `${at('/admins', who)}/reset-2fa`,
      (who) => `Admin ${who} logs in with the password alone now; live sessions were ended.`,
    ),
}

async function call(
  args: string[],
  io: CommandIo,
  method: 'POST' | 'DELETE',
  path: (who: string) => string,
  done: (who: string) => string,
) {
  const { values, positionals } = parse(args, {}, [1, 1])
  await ask(await io.transport(values.config), method, path(name(positionals)))
  io.stdout.write(`${printable(done(name(positionals)))}\n`)
}

/** A public key: the line itself, or the file that holds it. */
function readKey(text: string): string {
  if (/^(ssh-|ecdsa-|sk-)\S+ \S/.test(text)) return text
  let line: string | undefined
  try {
    line = readFileSync(text, 'utf8')
      .split('\n')
      .map((one) => one.trim())
      .find((one) => one !== '' && !one.startsWith('#'))
  } catch (error) {
    throw new FileFlowError('request.invalid', `--key ${text}: is no public key, and no file that can be read`, { cause: error })
  }
  if (line?.includes('PRIVATE KEY')) throw new FileFlowError('request.invalid', `--key ${text}: that is a private key; give the .pub file`)
  if (!line) throw new FileFlowError('request.invalid', `--key ${text}: the file holds no key`)
  return line
}

function group(title: string, summary: string, usage: string, verbs: Readonly<Record<string, Verb>>): Command {
  return {
    name: title,
    summary,
    usage,
    async run([verb, ...rest], io) {
      const run = verb !== undefined && Object.hasOwn(verbs, verb) ? verbs[verb] : undefined
      if (!run)
        throw new UsageError(
          verb === undefined ? `say what: ${Object.keys(verbs).join(', ')}` : `unknown: ${verb}; known: ${Object.keys(verbs).join(', ')}`,
        )
      await run(rest, io)
      return 0
    },
  }
}

export const user = group(
  'user',
  'partner accounts: list, add, passwd, enable, disable, recount, remove',
  `Usage: fileflow user list [--json]
       fileflow user add NAME [--key FILE|LINE]… [--home DIR] [--partner TEXT] [--password-stdin | --no-password]
       fileflow user passwd NAME [--password-stdin]
       fileflow user enable|disable|remove NAME
       fileflow user recount NAME          counts on the disk what counts for the quota

Passwords come from a prompt, or from the first line of stdin with --password-stdin; never from an argument.`,
  userVerbs,
)

export const admin = group(
  'admin',
  'admin accounts: list, add, passwd, remove, reset-2fa',
  `Usage: fileflow admin list [--json]
       fileflow admin add NAME [--role ${ROLES.join('|')}] [--password-stdin]
       fileflow admin passwd NAME [--password-stdin]
       fileflow admin remove NAME
       fileflow admin reset-2fa NAME

Passwords come from a prompt, or from the first line of stdin with --password-stdin; never from an argument.`,
  adminVerbs,
)
