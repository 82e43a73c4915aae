// The two ways that files go to the same OpenSSH server: our gateway, and what it replaces (lftp, rclone, OpenSSH's sftp, a script of inotifywait and lftp).
// Must not measure anything but the time and the processor time of one piece of work.
import { spawn } from 'node:child_process'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TearsDown } from '../test/support/far-process.ts'
import { startFarSshd } from '../test/support/far-sshd.ts'
import { type Ran, run, startGateway, until } from '../test/support/gateway.ts'

export const PASSWORD = 'correct horse battery staple'
const PARALLEL = 4
const LONGEST_MS = 600_000

/** As the script that was in use: fires on creation, and hands the file to lftp, which opens a connection each time. The name is only an argument. */
const SCRIPT = `#!/bin/bash
inotifywait -m -q -e create --format %f "$WATCHED" | while IFS= read -r name; do
  lftp --norc -c "set sftp:auto-confirm yes; set sftp:connect-program '$SSH'; open -u $FAR_USER,x sftp://127.0.0.1:$FAR_PORT; put -O $TARGET $WATCHED/$name"
done
`

async function must(work: Promise<Ran>): Promise<void> {
  const { code, stderr } = await work
  if (code !== 0) throw new Error(stderr)
}

export type Peers = Awaited<ReturnType<typeof setUpForwarding>>

/** @param cpuOf seconds of processor time of a process and all below it */
export async function setUpForwarding(t: TearsDown, folder: string, cpuOf: (pid: number) => number) {
  const far = await startFarSshd(t)
  const key = join(folder, 'key')
  await writeFile(key, far.privateKey, { mode: 0o600 })
  const gateway = await startGateway(t, { folder })
  const ours = join(far.root, 'fileflow')
  await gateway.apply({
    users: [{ username: 'customer1', password: PASSWORD, directories: ['/in'] }],
    destinations: [
      {
        name: 'hq',
        type: 'sftp',
        host: far.host,
        port: far.port,
        username: far.username,
        private_key: far.privateKey,
        host_keys: [far.fingerprint],
        base_path: ours,
        max_connections: PARALLEL,
      },
    ],
    rules: [{ name: 'all', source: { path: '/in/**' }, deliver: [{ to: 'hq' }] }],
  })
  const trust = '-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null'
  const ssh = `ssh -a -x -i ${key} ${trust}`
  const lftp = (program: string): Promise<void> =>
    must(run('lftp', ['--norc', '-c', `set sftp:auto-confirm yes; ${program}`], { timeoutMs: LONGEST_MS }))
  return {
    far,
    gateway,
    ours,
    parallel: PARALLEL,
    /** A folder of files. */
    async material(name: string, files: number, size: number): Promise<string> {
      const path = join(folder, 'material', name)
      await mkdir(path)
      for (let i = 0; i < files; i++) await writeFile(join(path, files > 1 ? `${name}-${i}.dat` : `f${i}.dat`), Buffer.alloc(size, i + 1))
      return path
    },
    /** As a partner; what they owe waits for its destination. */
    upload: (from: string): Promise<void> =>
      lftp(
        `set sftp:connect-program "ssh -a -x ${trust}"; open -u customer1,${PASSWORD.replaceAll(' ', '\\ ')} sftp://127.0.0.1:${gateway.ports.sftp}; mirror -R ${from} /in`,
      ),
    mirror: {
      lftp: (source: string, target: string): Promise<void> =>
        lftp(
          `set sftp:connect-program "${ssh}"; open -u ${far.username},x sftp://127.0.0.1:${far.port}; mirror -R --parallel=${PARALLEL} ${source} ${target}`,
        ),
      rclone: (source: string, target: string): Promise<void> => {
        const remote = `:sftp,host=127.0.0.1,port=${far.port},user=${far.username},key_file=${key}:${target}`
        return must(
          run('rclone', ['copy', source, remote, '--transfers', String(PARALLEL), '--config', '/dev/null'], { timeoutMs: LONGEST_MS }),
        )
      },
    },
    sftpPut: (source: string, target: string): Promise<void> =>
      must(
        run('sftp', ['-q', '-i', key, ...trust.split(' '), '-P', String(far.port), '-b', '-', `${far.username}@127.0.0.1`], {
          input: `put ${source} ${target}\n`,
          timeoutMs: LONGEST_MS,
        }),
      ),
    async startScript() {
      const [watched, target, file] = [join(folder, 'watched'), join(far.root, 'script'), join(folder, 'script.sh')]
      await mkdir(watched)
      await mkdir(target)
      await writeFile(file, SCRIPT)
      await chmod(file, 0o700)
      const env = { ...process.env, WATCHED: watched, TARGET: target, SSH: ssh, FAR_USER: far.username, FAR_PORT: String(far.port) }
      // a group of its own: inotifywait goes with it
      const child = spawn(file, { env, stdio: ['ignore', 'ignore', 'inherit'], detached: true })
      const ended = new Promise((resolve) => child.once('close', resolve))
      const stop = async (): Promise<void> => {
        if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGTERM')
        await ended
      }
      t.teardown(stop)
      await until('inotifywait watches', async () => (await run('pgrep', ['-f', `inotifywait.*${watched}`])).code === 0)
      return { watched, target, stop }
    },
    /** Runs one piece of work and adds what it took: seconds, and seconds of processor time of the server (and of ours, when it was ours). */
    async clock(name: string, took: Record<string, number[]>, cpu: Record<string, number[]>, work: () => Promise<unknown>): Promise<void> {
      const spent = (): number => cpuOf(far.process.pid) + (name === 'fileflow' ? cpuOf(gateway.pid) : 0)
      const [since, before] = [performance.now(), spent()]
      await work()
      took[name]!.push((performance.now() - since) / 1000)
      cpu[name]!.push(spent() - before)
    },
  }
}
