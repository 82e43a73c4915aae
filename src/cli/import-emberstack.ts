// emberstack/sftp's sftp.json as a state file: users, passwords, keys, chroots and directories.
// Must not read anything but the text it is given.
import { FileFlowError } from '../core/errors.ts'
import { isNetwork } from '../core/network.ts'
import { PERMISSIONS } from '../core/permission.ts'
import type { StateFile } from '../core/state-file.ts'
import type { UserSpec } from '../core/user.ts'

export interface Imported {
  readonly state: StateFile
  /** What could not be carried over, or what a person has to do. */
  readonly notes: readonly string[]
}

type Json = Record<string, unknown>

const fail = (what: string): never => {
  throw new FileFlowError('request.invalid', `sftp.json: ${what}`)
}

/** .NET reads the keys whatever their case. */
function at(of: unknown, key: string): unknown {
  if (of === null || typeof of !== 'object') return undefined
  const found = Object.keys(of).find((one) => one.toLowerCase() === key.toLowerCase())
  return found === undefined ? undefined : (of as Json)[found]
}
const textAt = (of: unknown, key: string): string | undefined => {
  const value = at(of, key)
  return typeof value === 'string' && value !== '' ? value : undefined
}
const listAt = (of: unknown, key: string): string[] => {
  const value = at(of, key)
  return Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string' && one !== '') : []
}
const absolute = (path: string): string =>
  `/${path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')}`

/** @param homes where the container's /home is on this machine */
export function importEmberstack(text: string, homes: string): Imported {
  let root: unknown
  try {
    root = JSON.parse(text)
  } catch (error) {
    fail((error as Error).message)
  }
  const notes: string[] = []
  const global = at(root, 'Global')
  const users = at(root, 'Users')
  if (!Array.isArray(users)) return fail('it has no Users')
  const commonDirectories = listAt(global, 'Directories')
  for (const [kind, path] of Object.entries((at(global, 'HostKeys') as Json | undefined) ?? {})) {
    if (typeof path === 'string' && path !== '')
      notes.push(`host key ${kind}: copy ${path} from the container and name it in sftp.host_keys, so that partners see no new key`)
  }
  const hooks = at(global, 'Hooks')
  if (listAt(hooks, 'OnServerStartup').length + listAt(hooks, 'OnSessionChange').length > 0)
    notes.push('Hooks: scripts are not carried over')
  if (String(at(global, 'PKIandPassword')).toLowerCase() === 'true')
    notes.push('PKIandPassword: every user is given ssh_auth: key+password')

  const specs = users.map((user, index): UserSpec => {
    const username = textAt(user, 'Username') ?? fail(`user ${index + 1} has no Username`)
    const chroot = at(user, 'Chroot')
    const directory = textAt(chroot, 'Directory') ?? textAt(at(global, 'Chroot'), 'Directory') ?? '%h'
    const start = textAt(chroot, 'StartPath') ?? textAt(at(global, 'Chroot'), 'StartPath')
    const home = directory.replaceAll('%h', `/home/${username}`).replaceAll('%u', username)
    const password = textAt(user, 'Password')
    const encrypted = at(user, 'PasswordIsEncrypted') === true
    if (password !== undefined && encrypted)
      notes.push(`${username}: the password is a crypt hash, which cannot be carried over; set one with: fileflow user passwd ${username}`)
    if (password === undefined && listAt(user, 'PublicKeys').length === 0)
      notes.push(`${username}: has neither password nor public key yet`)
    const directories = [...new Set([...commonDirectories, ...listAt(user, 'Directories')].map(absolute))]
    const hosts = listAt(user, 'AllowedHosts')
    const networks = hosts.filter(isNetwork)
    if (networks.length < hosts.length)
      notes.push(
        `${username}: AllowedHosts: only addresses and networks are carried over, not ${hosts.filter((h) => !isNetwork(h)).join(', ')}`,
      )
    if (at(user, 'UID') != null || at(user, 'GID') != null)
      notes.push(`${username}: UID and GID do not matter here: all files belong to the gateway's own user; chown what is there`)
    const both = String(at(global, 'PKIandPassword')).toLowerCase() === 'true'
    return {
      username,
      ...(password === undefined || encrypted ? {} : { password }),
      ...(listAt(user, 'PublicKeys').length === 0 ? {} : { public_keys: listAt(user, 'PublicKeys').map((key) => key.trim()) }),
      home: home === '/home' || home.startsWith('/home/') ? absolute(`${homes}${home.slice('/home'.length)}`) : home,
      ...(start === undefined ? {} : { start_directory: absolute(start) }),
      ...(directories.length === 0 ? {} : { directories }),
      protocols: ['sftp'],
      ...(both ? { ssh_auth: 'key+password' as const } : {}),
      // the chroot itself belongs to root there: only the directories in it can be written
      permissions: [{ path: '/', allow: ['list', 'download'] }, ...directories.map((path) => ({ path, allow: [...PERMISSIONS] }))],
      ...(networks.length === 0 ? {} : { allowed_ips: networks }),
    }
  })
  return { state: { users: specs }, notes }
}
