// PASV, EPSV, PORT, EPRT, ABOR: making and dropping data connections (RFC 959 §4.1.2, RFC 2428).
// Must not move bytes over them.
import { isIPv4, isIPv6 } from 'node:net'
import { activeChannel, isOwnTarget } from '../active.ts'
import { hostPort, parseExtendedHostPort, parseHostPort } from '../address.ts'
import type { FtpConnection } from '../connection.ts'
import { listenPassive, parsePortRange } from '../passive.ts'
import { Refusal } from '../replies.ts'
import type { CommandRow } from './command.ts'

async function pasv(connection: FtpConnection): Promise<void> {
  refuseAfterEpsvAll(connection)
  const address = await connection.gateway.publicAddress.for(connection.peer, connection.gateway.config.ftp.passive)
  if (address === null) throw new Refusal(522, 'PASV knows IPv4 only: use EPSV.')
  connection.replaceChannel(null)
  const channel = await listenPassive(connection.peer, parsePortRange(connection.gateway.config.ftp.passive.ports))
  connection.replaceChannel(channel)
  await connection.reply(227, `Entering Passive Mode (${hostPort(address, channel.port)}).`)
}

async function epsv(connection: FtpConnection, argument: string): Promise<void> {
  const wanted = argument.trim().toUpperCase()
  if (wanted === 'ALL') {
    connection.settings.epsvAll = true
    return connection.reply(200, 'Only EPSV from here on.')
  }
  const own = familyOf(connection)
  if (wanted !== '' && wanted !== own) {
    throw /^\d+$/.test(wanted)
      ? new Refusal(522, `Network protocol not supported, use (${own})`)
      : new Refusal(501, 'Syntax: EPSV [1|2|ALL]')
  }
  connection.replaceChannel(null)
  const channel = await listenPassive(connection.peer, parsePortRange(connection.gateway.config.ftp.passive.ports))
  connection.replaceChannel(channel)
  await connection.reply(229, `Entering Extended Passive Mode (|||${channel.port}|)`)
}

/** Data connections are of the family of the control connection (RFC 2428 §2). */
const familyOf = ({ peer }: FtpConnection): string => (isIPv4(peer.localAddress) ? '1' : '2')

const refuseAfterEpsvAll = (connection: FtpConnection): void => {
  if (connection.settings.epsvAll) throw new Refusal(501, 'Not allowed after EPSV ALL.')
}

async function active(connection: FtpConnection, target: { address: string; port: number } | 'protocol' | null): Promise<void> {
  refuseAfterEpsvAll(connection)
  if (!connection.gateway.config.ftp.active) throw new Refusal(502, 'Active mode is off: use PASV or EPSV.')
  if (target === null) throw new Refusal(501, 'Not an address and port.')
  const own = familyOf(connection)
  if (target === 'protocol' || (isIPv6(target.address) ? '2' : '1') !== own)
    throw new Refusal(522, `Network protocol not supported, use (${own})`)
  if (!isOwnTarget(connection.peer, target)) throw new Refusal(500, 'Only to your own address, and to ports from 1024.')
  connection.replaceChannel(activeChannel(connection.peer, target.port))
  await connection.reply(200, 'OK')
}

/** RFC 959 §4.1.3: the transfer that it stopped has said 426 by now, or its 226 when it was over already. */
function abor(connection: FtpConnection): Promise<void> {
  connection.replaceChannel(null)
  return connection.reply(226, 'Nothing is being transferred.')
}

export const DATA_COMMANDS: readonly CommandRow[] = [
  { verb: 'PASV', syntax: 'PASV', login: 'needed', argument: 'none', run: pasv },
  { verb: 'EPSV', syntax: 'EPSV [1|2|ALL]', login: 'needed', argument: 'optional', run: epsv },
  {
    verb: 'PORT',
    syntax: 'PORT h1,h2,h3,h4,p1,p2',
    login: 'needed',
    argument: 'required',
    run: (c, text) => active(c, parseHostPort(text)),
  },
  {
    verb: 'EPRT',
    syntax: 'EPRT |family|address|port|',
    login: 'needed',
    argument: 'required',
    run: (c, text) => active(c, parseExtendedHostPort(text)),
  },
  { verb: 'ABOR', syntax: 'ABOR', login: 'open', argument: 'none', interrupts: true, run: abor },
]
