// What only the disk can say of a configuration: whether the folders, keys and certificates that it names can be used.
// Must not make or change anything.
import { access, constants, lstat, mkdtemp, rmdir, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type LoadedConfig, placeOf } from './config/load.ts'
import { FileFlowError } from './core/errors.ts'
import { ensureHostKeys, readCertificatePair } from './listeners/credentials.ts'

/** @throws FileFlowError `config.invalid` naming every such fault with its file, line and key, or its variable */
export async function checkFiles(loaded: LoadedConfig, cwd: string): Promise<void> {
  refuse(loaded, cwd, [...(await folderFaults(loaded)), ...(await credentialFaults(loaded))])
}

/** The same for the folders alone, which every command needs. */
export async function checkFolders(loaded: LoadedConfig, cwd: string): Promise<void> {
  refuse(loaded, cwd, await folderFaults(loaded))
}

type Fault = readonly [key: string, message: string]

function refuse(loaded: LoadedConfig, cwd: string, faults: readonly Fault[]): void {
  if (faults.length === 0) return
  throw new FileFlowError('config.invalid', faults.map(([key, message]) => `${placeOf(loaded, key, cwd)}: ${message}`).join('\n'))
}

async function folderFaults({ config }: LoadedConfig): Promise<Fault[]> {
  const faults: Fault[] = []
  for (const key of ['data_dir', 'storage_root'] as const) {
    const fault = await folderFault(config[key])
    if (fault) faults.push([key, fault])
  }
  return faults
}

/** Filesystems that the kernel makes up (statfs(2)): proc, sysfs, both cgroups, devpts, debugfs, tracefs, securityfs, configfs. Making folders there fails, or goes on for ever. */
const MADE_UP = new Set([0x9fa0, 0x62656572, 0x27e0eb, 0x63677270, 0x1cd1, 0x64626720, 0x74726163, 0x73636673, 0x62656570])

/** Why that folder cannot be used, or made where it is not there yet. */
async function folderFault(folder: string): Promise<string | undefined> {
  for (let at = folder; ; at = dirname(at)) {
    try {
      if (!(await stat(at)).isDirectory()) return `${at} is not a folder`
      if (MADE_UP.has((await statfs(at)).type)) return `${at} keeps no files`
      await access(at, constants.W_OK | constants.X_OK)
      return at === folder ? undefined : await makingFault(at)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT' && (await isLink(at))) return `${at} is a link that leads nowhere`
      if (code === 'ENOENT' || code === 'ENOTDIR') continue
      return `${at} cannot be written (${code ?? 'unknown error'})`
    }
  }
}

/** Why no folder can be made there: it is tried. */
async function makingFault(parent: string): Promise<string | undefined> {
  try {
    await rmdir(await mkdtemp(join(parent, '.fileflow-')))
    return undefined
  } catch (error) {
    return `no folder can be made in ${parent} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`
  }
}

const isLink = (path: string): Promise<boolean> =>
  lstat(path).then(
    (found) => found.isSymbolicLink(),
    () => false,
  )

async function credentialFaults({ config }: LoadedConfig): Promise<Fault[]> {
  const { ftp, sftp, admin } = config
  const faults: Fault[] = []
  const pairs = [
    ['ftp.tls', ftp.enabled && ftp.tls.mode !== 'off', ftp.tls],
    ['admin.tls', admin.enabled, admin.tls],
  ] as const
  for (const [section, used, { cert, key }] of pairs) {
    if (!used || cert === null || key === null) continue
    const message = await messageOf(readCertificatePair(cert, key))
    if (message !== undefined) faults.push([message.startsWith(`${key}:`) ? `${section}.key` : `${section}.cert`, message])
  }
  for (const file of sftp.enabled ? sftp.host_keys : []) {
    const message = await messageOf(ensureHostKeys({ ...config, sftp: { ...sftp, host_keys: [file] } }))
    if (message !== undefined) faults.push(['sftp.host_keys', message])
  }
  return faults
}

async function messageOf(outcome: Promise<unknown>): Promise<string | undefined> {
  try {
    await outcome
    return undefined
  } catch (error) {
    if (error instanceof FileFlowError) return error.message
    throw error
  }
}
