// Processes of far servers: started with a readiness check, stopped for certain.
// Must not know which server it is.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { connect, createServer } from 'node:net'

/** As much of a tap test as is needed to clean up after it. */
export interface TearsDown {
  teardown(work: () => unknown): unknown
}

export interface FarProcess {
  readonly pid: number
  /** All it wrote on stdout and stderr so far. */
  output(): string
  /** Kills it with its children and waits for its end. Idempotent. */
  stop(): Promise<void>
}

/** @throws Error that says what is missing */
export function needBinary(path: string, debianPackage: string): void {
  if (!existsSync(path)) throw new Error(`${path} is missing: apt-get install ${debianPackage}`)
}

/** @throws Error */
export function needRoot(what: string): void {
  if (process.getuid?.() !== 0) throw new Error(`${what} needs to run as root (it logs local users in)`)
}

/** A port that was free a moment ago, of 127.0.0.1. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Resolves when the port accepts connections. @throws Error with the server's output when it ends first or 10 s pass */
export async function startFarProcess(command: string, args: readonly string[], port: number): Promise<FarProcess> {
  // A process group of its own, so that the children that serve sessions go with it.
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let output = ''
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-100_000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const killAtExit = () => killGroup(child)
  process.once('exit', killAtExit)
  const stop = async () => {
    process.removeListener('exit', killAtExit)
    const ended = child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : once(child, 'exit')
    killGroup(child)
    await ended
  }
  for (const until = Date.now() + 60_000; ; ) {
    if (await accepts(port)) return { pid: child.pid!, output: () => output, stop }
    if (child.exitCode !== null || Date.now() > until) {
      await stop()
      throw new Error(`${command} did not start on port ${port}:\n${output}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // The group is gone already.
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const done = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', () => done(true))
    socket.once('error', () => done(false))
  })
}
