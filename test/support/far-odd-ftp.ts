// An FTP server with the oddities of real ones that vsftpd does not have: hashes, refusals, a wrong PASV address. Files are in memory.
// Must not be taken for a server: one transfer at a time, no checks.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { TearsDown } from './far-process.ts'

export interface OddFtpOptions {
  /** Lines of the FEAT reply. */
  readonly features?: readonly string[]
  /** Replies to a verb instead of doing it; undefined: do it; null: say nothing. */
  readonly answer?: (verb: string, argument: string, files: Map<string, Buffer>) => string | undefined | null
  readonly greeting?: string
  /** What it says besides, in the same breath, whenever it answers this verb. */
  readonly adds?: Readonly<Record<string, string>>
  /** Says a reply byte by byte. */
  readonly inBytes?: boolean
  /** Takes all bytes of a file, says so, and keeps none. */
  readonly drops?: boolean
  /** What LIST sends of a folder. */
  readonly listing?: (path: string) => string | AsyncIterable<Buffer>
  /** Ends the control connection once it has answered this verb. */
  readonly endAfter?: string
  /** Spoils what it stores. */
  readonly corrupt?: boolean
}

export interface OddFtp {
  readonly port: number
  readonly files: Map<string, Buffer>
  /** All commands, `PASS` without its argument. */
  readonly commands: string[]
}

export async function startOddFtp(t: TearsDown, options: OddFtpOptions = {}): Promise<OddFtp> {
  const files = new Map<string, Buffer>()
  const commands: string[] = []
  const open = new Set<Socket | Server>()
  const server = createServer((control) => {
    open.add(control)
    control.on('error', () => undefined)
    let data: Promise<Socket> | undefined
    control.setNoDelay(true)
    let from = ''
    let verb = ''
    let saying = Promise.resolve()
    const say = (line: string) => {
      const more = options.adds?.[verb]
      const text = `${line}\r\n${more === undefined || line.startsWith('150') ? '' : `${more}\r\n`}`
      if (!options.inBytes) return control.write(text)
      saying = saying.then(async () => {
        for (const byte of Buffer.from(text)) {
          control.write(Buffer.of(byte))
          await new Promise((resolve) => setImmediate(resolve))
        }
      })
      return true
    }
    const transfer = async (work: (socket: Socket) => Promise<void>) => {
      say('150 go')
      const socket = await data!
      await work(socket)
      say('226 done')
    }
    const verbs: Record<string, (argument: string) => unknown> = {
      USER: () => say('331 password'),
      PASS: () => say('230 in'),
      FEAT: () => say(['211-Features:', ...(options.features ?? []).map((line) => ` ${line}`), '211 End'].join('\r\n')),
      PWD: () => say('257 "/" is here'),
      CWD: () => say('250 ok'),
      PASV: async () => {
        const passive = createServer().listen(0, '127.0.0.1')
        open.add(passive)
        await once(passive, 'listening')
        data = once(passive, 'connection').then(([socket]) => socket as Socket)
        const { port } = passive.address() as { port: number }
        // An address that leads nowhere, as servers behind NAT announce.
        say(`227 Entering Passive Mode (10,9,8,7,${port >> 8},${port & 255})`)
      },
      STOR: (path) =>
        transfer(async (socket) => {
          const chunks: Buffer[] = []
          for await (const chunk of socket) chunks.push(chunk)
          const content = Buffer.concat(chunks)
          if (options.corrupt && content.length > 0) content[0]! ^= 1
          if (!options.drops) files.set(path, content)
        }),
      RETR: (path) => transfer(async (socket) => void socket.end(files.get(path) ?? '')),
      LIST: (path) =>
        transfer(async (socket) => {
          const listing = options.listing?.(path.replace(/^-a /, '')) ?? ''
          socket.on('error', () => undefined)
          if (typeof listing === 'string') return void socket.end(listing)
          for await (const chunk of listing) {
            if (socket.destroyed) return
            if (!socket.write(chunk)) await new Promise<void>((goOn) => void socket.once('drain', goOn).once('close', goOn))
          }
          socket.end()
        }),
      SIZE: (path) => say(files.has(path) ? `213 ${files.get(path)!.length}` : '550 no such file'),
      DELE: (path) => say(files.delete(path) ? '250 gone' : '550 no such file'),
      RNFR: (path) => {
        from = path
        say(files.has(path) ? '350 to?' : '550 no such file')
      },
      RNTO: (path) => {
        files.set(path, files.get(from)!)
        files.delete(from)
        say('250 renamed')
      },
      HASH: (path) => say(`213 SHA-256 0-${files.get(path)!.length} ${sha256(files.get(path)!)} ${path}`),
      XMD5: (path) => say(`250 ${createHash('md5').update(files.get(path)!).digest('hex').toUpperCase()}`),
      XSHA256: (path) => say(`250 ${sha256(files.get(path)!)}`),
      EPSV: () => say('502 not here'),
    }
    let rest = ''
    control.on('data', (chunk) => {
      const lines = (rest + chunk.toString()).split('\r\n')
      rest = lines.pop()!
      for (const line of lines) {
        const [, said = '', argument = ''] = /^(\S+) ?(.*)$/.exec(line) ?? []
        verb = said
        commands.push(verb === 'PASS' ? verb : line)
        const odd = options.answer?.(verb, argument, files)
        if (odd === null) continue
        if (odd !== undefined) say(odd)
        else (verbs[verb] ?? (() => say('200 ok')))(argument)
        if (verb === options.endAfter) control.end()
      }
    })
    say(options.greeting ?? '220 odd')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const each of open) {
      if ('destroy' in each) each.destroy()
      else each.close()
    }
    server.close()
  })
  return { port: (server.address() as { port: number }).port, files, commands }
}

const sha256 = (content: Buffer): string => createHash('sha256').update(content).digest('hex')
