// `import`: a state file from the files of another server, to be looked at and applied.
// Must not change anything: it prints.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { FileFlowError } from '../core/errors.ts'
import { stateFileChecker } from '../core/state-file.ts'
import { type Command, type CommandIo, parse, printable, UsageError } from './command.ts'
import { type Imported, importEmberstack } from './import-emberstack.ts'
import { importVsftpd } from './import-vsftpd.ts'

const LONGEST = 16 * 2 ** 20

function read(file: string): string {
  try {
    const text = readFileSync(file, 'utf8')
    if (text.length <= LONGEST) return text
  } catch (cause) {
    throw new FileFlowError('request.invalid', `${file}: cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown'})`, { cause })
  }
  throw new FileFlowError('request.invalid', `${file}: is larger than 16 MiB`)
}

const SOURCES: Readonly<Record<string, (args: string[]) => Imported>> = {
  vsftpd(args) {
    const { values, positionals } = parse(
      args,
      { 'virtual-users': { type: 'string' }, users: { type: 'string' }, passwd: { type: 'string' }, 'user-config-dir': { type: 'string' } },
      [0, 1],
    )
    const conf = read(positionals[0] ?? '/etc/vsftpd.conf')
    const setting = (name: string): string | undefined => new RegExp(`^${name}=(.*)$`, 'm').exec(conf)?.[1]?.trim()
    // a list of those who may come in names the users
    const listed = /^NO$/i.test(setting('userlist_deny') ?? '') ? setting('userlist_file') : undefined
    const names = values.users ?? (listed !== undefined && existsSync(listed) ? listed : undefined)
    const folder = values['user-config-dir'] ?? setting('user_config_dir')
    return importVsftpd({
      conf,
      ...(values['virtual-users'] === undefined ? {} : { virtualUsers: read(values['virtual-users']) }),
      ...(names === undefined ? {} : { names: read(names) }),
      passwd: read(values.passwd ?? '/etc/passwd'),
      perUser(username) {
        const file = folder === undefined || /[/\0]/.test(username) ? undefined : join(folder, username)
        return file !== undefined && existsSync(file) ? read(file) : undefined
      },
    })
  },
  emberstack(args) {
    const { values, positionals } = parse(args, { homes: { type: 'string', default: '/home' } }, [1, 1])
    return importEmberstack(read(positionals[0]!), values.homes)
  },
}

export const importState: Command = {
  name: 'import',
  summary: 'a state file from vsftpd or emberstack/sftp',
  usage: `Usage: fileflow import vsftpd [VSFTPD.CONF] [--virtual-users FILE | --users FILE] [--user-config-dir DIR] [--passwd FILE]
       fileflow import emberstack SFTP.JSON [--homes DIR]

Prints a state file; what cannot be carried over is told on stderr. Look at it, then: fileflow apply FILE
  --virtual-users     names and passwords, line by line, as for db_load
  --users             names of local users, one a line; default: userlist_file where userlist_deny=NO, else those of passwd that may log in
  --user-config-dir   settings of single users; default: user_config_dir of VSFTPD.CONF (/etc/vsftpd.conf)
  --passwd            the homes of local users; default /etc/passwd
  --homes             where the container's /home is on this machine`,
  async run([from, ...args], io: CommandIo) {
    const source = from !== undefined && Object.hasOwn(SOURCES, from) ? SOURCES[from] : undefined
    if (!source) throw new UsageError(`say from what: ${Object.keys(SOURCES).join(', ')}`)
    const { state, notes } = source(args)
    for (const note of notes) io.stderr.write(`note: ${printable(note)}\n`)
    const faults = stateFileChecker.faults(state)
    for (const { pointer, message } of faults)
      io.stderr.write(`fault: ${printable(pointer.slice(1).replaceAll('/', '.'))}: ${printable(message)}\n`)
    io.stdout.write(`# Made by fileflow import ${from}. Look at it, then: fileflow apply FILE\n${stringify(state, { lineWidth: 0 })}`)
    return faults.length > 0 ? 1 : 0
  },
}
