// Whether our ports are free, asked before any worker binds: with SO_REUSEPORT a second FileFlow of the same user would share them unnoticed.
// Must not keep a port.
import { createServer } from 'node:net'
import type { Config } from '../config/schema.ts'
import { FileFlowError } from '../core/errors.ts'

/** @throws FileFlowError `service.unavailable` naming the key of a port that cannot be had */
export async function probePorts({ ftp, sftp }: Pick<Config, 'ftp' | 'sftp'>): Promise<void> {
  const wanted = [
    { key: 'ftp.port', on: ftp.enabled, host: ftp.host, port: ftp.port },
    { key: 'ftp.tls.implicit_port', on: ftp.enabled, host: ftp.host, port: ftp.tls.implicit_port ?? 0 },
    { key: 'sftp.port', on: sftp.enabled, host: sftp.host, port: sftp.port },
  ]
  for (const { key, on, host, port } of wanted) if (on && port !== 0) await probe(key, host, port)
}

function probe(key: string, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (cause: NodeJS.ErrnoException) =>
      reject(
        new FileFlowError(
          'service.unavailable',
          `${key}: ${host}:${port} ${REASONS[cause.code ?? ''] ?? `cannot be opened (${cause.code})`}.`,
          { cause },
        ),
      ),
    )
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()))
  })
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is taken by another program; if it is another FileFlow, stop it first',
  EACCES: 'may not be opened: ports below 1024 need CAP_NET_BIND_SERVICE',
  EADDRNOTAVAIL: 'is no address of this machine',
}
