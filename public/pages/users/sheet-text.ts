// The connection sheet as plain text: what a partner needs to connect, and no secret.
// Must not ask the gateway.
import type { KeyView, UserView } from '../../../src/core/views.ts'
import { strings } from '../../strings.ts'

const words = strings.users.sheet

export interface Doors {
  readonly host: string
  readonly sftp: number | null
  readonly ftp: number | null
  readonly keys: readonly KeyView[]
}

/** An IPv6 address in a URL stands in brackets (RFC 3986 §3.2.2). */
const inUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host)

export function sheetText(user: UserView, { host, sftp, ftp, keys }: Doors): string {
  const lines: string[] = [words.heading(user.partner || user.username), '']
  const fact = (label: string, value: string) => lines.push(`  ${label}: ${value}`)
  const command = (label: string, text: string) => lines.push(`  ${label}:`, `    ${text}`)
  const byKey = user.key_fingerprints.length > 0 ? [words.byKey(user.key_fingerprints.join(', '))] : []
  const byPassword = user.has_password ? [words.byPassword] : []
  const name = encodeURIComponent(user.username)
  if (user.protocols.includes('sftp')) {
    lines.push(words.sftp)
    fact(words.server, host)
    fact(words.port, sftp === null ? words.noService('SFTP') : String(sftp))
    fact(words.username, user.username)
    fact(words.login, [...byKey, ...byPassword].join(words.or) || strings.users.noCredentials)
    fact(words.folder, user.start_directory)
    const hostKeys = keys.filter(({ kind }) => kind === 'ssh-host-key')
    if (hostKeys.length > 0)
      lines.push(`  ${words.fingerprints}:`, ...hostKeys.map(({ type, fingerprint }) => `    ${type} ${fingerprint}`))
    if (sftp !== null) {
      const at = `${inUrl(host)}:${sftp}`
      const ed25519 = hostKeys.find(({ type }) => /ed25519/i.test(type))
      command(words.commandSftp, `sftp -P ${sftp} ${user.username}@${inUrl(host)}`)
      command(words.commandLftp, `lftp -u ${user.username} sftp://${at}`)
      command(
        words.commandWinscp,
        `winscp.com /command "open sftp://${name}@${at}/${ed25519 ? ` -hostkey=""ssh-ed25519 255 ${ed25519.fingerprint.replace('SHA256:', '')}""` : ''}"`,
      )
      command(words.commandFilezilla, `sftp://${name}@${at}`)
    }
    lines.push('')
  }
  if (user.protocols.includes('ftp')) {
    lines.push(user.require_tls ? words.ftps : words.ftp)
    fact(words.server, host)
    fact(words.port, ftp === null ? words.noService('FTP') : String(ftp))
    fact(words.username, user.username)
    fact(words.login, byPassword.join('') || strings.users.noCredentials)
    fact(words.folder, user.start_directory)
    for (const { kind, fingerprint } of keys) if (kind === 'certificate') fact(words.certificate, fingerprint)
    if (ftp !== null) {
      const at = `${inUrl(host)}:${ftp}`
      command(words.commandLftp, `lftp -e 'set ftp:ssl-force true' -u ${user.username} ftp://${at}`)
      command(words.commandWinscp, `winscp.com /command "open ftpes://${name}@${at}/"`)
      command(words.commandFilezilla, `ftpes://${name}@${at}`)
    }
    lines.push('')
  }
  if (user.protocols.length === 0) lines.push(words.nothing)
  return `${lines.join('\n').trimEnd()}\n`
}
