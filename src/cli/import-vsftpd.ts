// vsftpd's configuration as a state file: its users, their roots and rights, and what to put into config.yaml (vsftpd.conf(5)).
// Must not read anything but the texts it is given.
import { FileFlowError } from '../core/errors.ts'
import { PERMISSIONS, type Permission } from '../core/permission.ts'
import type { UserSpec } from '../core/user.ts'
import type { Imported } from './import-emberstack.ts'

export interface VsftpdFiles {
  /** vsftpd.conf */
  readonly conf: string
  /** Virtual users as for db_load -T -t hash: a name, then its password, line by line. */
  readonly virtualUsers?: string
  /** Names of local users, one a line. */
  readonly names?: string
  /** /etc/passwd, for the homes of local users. */
  readonly passwd?: string
  /** The file of that name in `user_config_dir`, if there is one. */
  readonly perUser: (username: string) => string | undefined
}

type Settings = ReadonlyMap<string, string>

/** Defaults of vsftpd.conf(5) that differ from NO or nothing. */
const DEFAULTS: Readonly<Record<string, string>> = {
  chmod_enable: 'YES',
  dirlist_enable: 'YES',
  download_enable: 'YES',
  force_local_logins_ssl: 'YES',
  userlist_deny: 'YES',
  local_max_rate: '0',
  anon_max_rate: '0',
}

/** What becomes part of a user; a user's own file may say otherwise. */
const OF_USERS = [
  ...['local_root', 'local_max_rate', 'anon_max_rate', 'virtual_use_local_privs', 'dirlist_enable', 'download_enable', 'write_enable'],
  ...['chmod_enable', 'anon_upload_enable', 'anon_mkdir_write_enable', 'anon_other_write_enable'],
]
/** What else is carried over, or told how. */
const OF_THE_SERVER = [
  ...['local_enable', 'guest_enable', 'guest_username', 'user_sub_token', 'chroot_local_user', 'user_config_dir', 'max_per_ip'],
  ...['userlist_enable', 'userlist_deny', 'userlist_file', 'ssl_enable', 'force_local_logins_ssl', 'implicit_ssl'],
  ...['rsa_cert_file', 'rsa_private_key_file', 'listen_port', 'pasv_min_port', 'pasv_max_port', 'pasv_address', 'port_enable'],
  ...['max_clients', 'idle_session_timeout', 'anonymous_enable'],
]
/** How vsftpd runs, which says nothing of what it serves. */
const OF_ITS_OWN = ['listen', 'listen_ipv6', 'background']

function* leftBehind(settings: Settings, known: readonly string[], label: string): Generator<string> {
  const left = [...settings.keys()].filter((key) => !known.includes(key))
  if (left.length > 0) yield `${label}: not carried over: ${left.join(', ')}`
}

function parseConf(text: string, label: string): Map<string, string> {
  const settings = new Map<string, string>()
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.replace(/\r$/, '')
    if (line.trim() === '' || line.startsWith('#')) continue
    const found = /^([a-z0-9_]+)=(.*)$/i.exec(line)
    if (!found) throw new FileFlowError('request.invalid', `${label}:${index + 1}: is no setting (name=value without blanks around =)`)
    settings.set(found[1]!.toLowerCase(), found[2]!.trim())
  }
  return settings
}

const reader = (...layers: readonly Settings[]) => {
  const value = (key: string): string | undefined => layers.find((layer) => layer.has(key))?.get(key) ?? DEFAULTS[key]
  const on = (key: string): boolean => /^(YES|TRUE|1)$/i.test(value(key) ?? 'NO')
  return { value, on }
}

/** @throws FileFlowError `request.invalid` naming file and line */
export function importVsftpd(files: VsftpdFiles): Imported {
  const conf = parseConf(files.conf, 'vsftpd.conf')
  const { value, on } = reader(conf)
  const notes = [...configurationNotes(conf)]
  const guest = on('guest_enable')
  const homes = new Map(
    (files.passwd ?? '').split('\n').flatMap((line) => {
      const [name, , uid, , , home, shell] = line.split(':')
      return name && home ? [[name, { home, uid: Number(uid), shell: shell ?? '' }] as const] : []
    }),
  )

  const passwords = new Map<string, string | undefined>()
  if (files.virtualUsers !== undefined) {
    const lines = files.virtualUsers
      .split('\n')
      .map((line) => line.replace(/\r$/, ''))
      .filter((line) => line !== '')
    if (lines.length % 2 !== 0) throw new FileFlowError('request.invalid', 'virtual users: a name without a password at the end')
    for (let i = 0; i < lines.length; i += 2) passwords.set(lines[i]!, lines[i + 1]!)
  } else if (files.names !== undefined) {
    for (const line of files.names.split('\n').map((one) => one.trim()))
      if (line !== '' && !line.startsWith('#')) passwords.set(line, undefined)
  } else {
    for (const [name, { uid, shell }] of homes)
      if (uid >= 1000 && uid < 65_000 && !/(nologin|false)$/.test(shell)) passwords.set(name, undefined)
  }
  if (passwords.size === 0) notes.push('no users were found: name them with --virtual-users, --users or --passwd')

  const users = [...passwords].map(([username, password]): UserSpec => {
    const own = files.perUser(username)
    const label = `user_config_dir/${username}`
    const apart = own === undefined ? new Map<string, string>() : parseConf(own, label)
    const mine = reader(apart, conf)
    notes.push(...leftBehind(apart, OF_USERS, label))
    const token = value('user_sub_token')
    const root = mine.value('local_root')
    const account = homes.get(guest ? (value('guest_username') ?? 'ftp') : username)
    const home =
      (root === undefined || token === undefined ? root : root.replaceAll(token, username)) ?? account?.home.replace(/\/\.\/.*$/, '')
    if (home === undefined) notes.push(`${username}: no local_root and no home are known; the home is made below storage_root`)
    if (!on('chroot_local_user') && !guest) notes.push(`${username}: was not confined to ${home ?? 'its home'}; here it is`)
    if (password === undefined)
      notes.push(`${username}: its password is the system's, which cannot be carried over; set one with: fileflow user passwd ${username}`)
    const virtual = guest && !mine.on('virtual_use_local_privs')
    const rate = Number(mine.value(virtual ? 'anon_max_rate' : 'local_max_rate'))
    const perIp = Number(value('max_per_ip') ?? 0)
    return {
      username,
      ...(password === undefined ? {} : { password }),
      ...(home?.startsWith('/') ? { home } : {}),
      protocols: ['ftp', 'sftp'],
      require_tls: on('ssl_enable') && on('force_local_logins_ssl'),
      permissions: [{ path: '/', allow: rights(mine, virtual) }],
      ...(rate > 0 || perIp > 0
        ? { limits: { ...(rate > 0 ? { upload_rate: rate, download_rate: rate } : {}), ...(perIp > 0 ? { sessions: perIp } : {}) } }
        : {}),
    }
  })
  return { state: { users }, notes: [...new Set(notes)] }
}

/** Virtual users have the rights of anonymous ones unless virtual_use_local_privs says otherwise. */
function rights({ on }: ReturnType<typeof reader>, virtual: boolean): Permission[] {
  const allowed = new Set<Permission>()
  const allow = (...more: Permission[]): void => {
    for (const one of more) allowed.add(one)
  }
  if (on('dirlist_enable')) allow('list')
  if (on('download_enable')) allow('download')
  if (on('write_enable')) {
    if (virtual) {
      if (on('anon_upload_enable')) allow('upload')
      if (on('anon_mkdir_write_enable')) allow('mkdir')
      if (on('anon_other_write_enable')) allow('overwrite', 'resume', 'rename', 'delete', 'rmdir', 'utime')
    } else {
      allow('upload', 'overwrite', 'resume', 'rename', 'delete', 'mkdir', 'rmdir', 'utime')
      if (on('chmod_enable')) allow('chmod')
    }
  }
  return PERMISSIONS.filter((one) => allowed.has(one))
}

function* configurationNotes(conf: Settings): Generator<string> {
  const { value, on } = reader(conf)
  const hint = (text: string): string => `config.yaml: ${text}`
  if (value('listen_port') !== undefined) yield hint(`ftp: { port: ${value('listen_port')} }`)
  if (value('pasv_min_port') !== undefined)
    yield hint(`ftp: { passive: { ports: ${value('pasv_min_port')}-${value('pasv_max_port') ?? '65535'} } }`)
  if (value('pasv_address') !== undefined) yield hint(`ftp: { passive: { address: ${value('pasv_address')} } }`)
  if (on('port_enable') || !conf.has('port_enable')) yield hint('ftp: { active: true } if partners use active mode')
  if (value('rsa_cert_file') !== undefined)
    yield hint(`ftp: { tls: { cert: ${value('rsa_cert_file')}, key: ${value('rsa_private_key_file') ?? value('rsa_cert_file')} } }`)
  if (on('implicit_ssl')) yield hint('ftp: { tls: { implicit_port: 990 } }')
  if (value('max_clients') !== undefined && value('max_clients') !== '0') yield hint(`limits: { max_sessions: ${value('max_clients')} }`)
  if (value('idle_session_timeout') !== undefined) yield hint(`limits: { idle_timeout: ${value('idle_session_timeout')}s }`)
  if (on('anonymous_enable')) yield 'anonymous_enable: there is no anonymous login here'
  yield* leftBehind(conf, [...OF_USERS, ...OF_THE_SERVER, ...OF_ITS_OWN], 'vsftpd.conf')
}
