// An attacker at the open ports: whatever comes, the process lives, no service restarts, memory is bounded, and every descriptor comes back.
// Must not look into the gateway; only at /proc, the API, the log and whether an honest partner is still served.
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { connect as tlsConnect } from 'node:tls'
import { test } from 'tap'
import { closed, dial, gatewayUnderTest, MiB, PASSWORD, serves, survives } from '../support/abuse.ts'
import { until } from '../support/gateway.ts'

/** Sends it, reads whatever comes, and goes when the server does, or after a while. What ends in QUIT is not closed from here. */
async function throwAt(port: number, ...pieces: readonly (Buffer | string)[]): Promise<string> {
  const socket = await dial(port)
  let answer = ''
  socket.on('data', (chunk: Buffer) => {
    answer = (answer + chunk.toString('latin1')).slice(-10_000)
  })
  for (const piece of pieces) if (!socket.destroyed) socket.write(piece)
  if (!pieces.at(-1)?.toString('latin1').endsWith('QUIT\r\n')) socket.end()
  socket.setTimeout(2000, () => socket.resetAndDestroy())
  await closed(socket)
  return answer
}

const login = `USER partner\r\nPASS ${PASSWORD}\r\n`

test('junk, endless lines and floods of commands on the FTP port end without harm', async (t) => {
  const gateway = await gatewayUnderTest(t)
  const { ftp } = gateway.ports
  await survives(t, gateway, async () => {
    for (let n = 0; n < 8; n++) await throwAt(ftp, randomBytes(50_000))
    await throwAt(ftp, Buffer.alloc(16 * MiB, 'A'))
    await throwAt(ftp, login, Buffer.alloc(16 * MiB, 'A'))
    await throwAt(ftp, 'USER ', Buffer.alloc(100_000, 0), '\r\n', Buffer.alloc(100_000, 0xff), '\r\n')
    t.match(await throwAt(ftp, login, 'NOOP\r\n'.repeat(20_000), 'QUIT\r\n'), /221 /, 'a flood of commands is answered to its end')
    await throwAt(ftp, login, ...Array.from({ length: 200 }, () => 'PASV\r\nEPSV\r\nLIST\r\nABOR\r\n'), 'QUIT\r\n')
    await throwAt(
      ftp,
      login,
      'STOR \r\nRETR ../../etc/passwd\r\nPORT 1,1,1,1,1,1\r\nEPRT |9|x|y|\r\nREST 99999999999999999999\r\nSTOR x\r\nALLO -1\r\nMLST \0\r\nSITE CHMOD 99999 x\r\nHASH\r\nQUIT\r\n',
    )
    for (const line of ['USER', 'CWD', 'STOR', 'MKD', 'OPTS', 'SITE', 'MFMT', 'RNFR', 'EPRT', 'LIST']) {
      await throwAt(ftp, login, `${line} ${'%s%n/../\\*?['.repeat(300)}\r\n`, `${line} \x00\x01\xff\xfe\r\n`, `${line}\r\n`, 'QUIT\r\n')
    }
    // floods of which no reply is ever read
    const deaf = await Promise.all(Array.from({ length: 20 }, () => dial(ftp)))
    for (const socket of deaf) {
      socket.pause()
      socket.write(login + 'HELP\r\nFEAT\r\nSTAT\r\n'.repeat(20_000))
    }
    await serves(t, gateway, 'during')
    for (const socket of deaf) socket.resetAndDestroy()
  })
})

test('half-open TLS, junk for TLS and passive ports that nobody uses all end by themselves', async (t) => {
  const gateway = await gatewayUnderTest(t, { FILEFLOW_LIMITS_LOGIN_TIMEOUT: '2s' })
  const { ftp } = gateway.ports
  await survives(t, gateway, async () => {
    const halves: Socket[] = []
    for (let n = 0; n < 30; n++) {
      const socket = await dial(ftp)
      socket.resume()
      socket.write('AUTH TLS\r\n')
      await until('234 came', () => socket.bytesRead > 30)
      if (n % 3 === 0) socket.write(randomBytes(2000))
      if (n % 3 === 1) socket.write(Buffer.from('16030100f8010000f40303', 'hex'))
      halves.push(socket)
    }
    await Promise.all(halves.map(closed))
    // handshakes broken off at once
    for (let n = 0; n < 40; n++) {
      const socket = await dial(ftp)
      socket.write('AUTH TLS\r\n')
      await until('234 came', () => {
        socket.read()
        return socket.bytesRead > 30
      })
      const secure = tlsConnect({ socket, rejectUnauthorized: false })
      secure.on('error', () => secure.destroy())
      if (n % 2) setImmediate(() => socket.resetAndDestroy())
      else secure.once('secureConnect', () => socket.resetAndDestroy())
      await closed(socket)
    }
    t.match(await throwAt(ftp, 'AUTH TLS\r\nUSER partner\r\n'), /^220 .*\r\n(?!234)/, 'no command is smuggled into TLS')
    for (let n = 0; n < 40; n++) {
      const socket = await dial(ftp)
      let text = ''
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1')
      })
      socket.write(`${login}PBSZ 0\r\nPROT ${n % 2 ? 'P' : 'C'}\r\nEPSV\r\n${n % 3 ? 'STOR junk.bin' : 'LIST'}\r\n`)
      const port = Number((await until('229', () => /229 .*\(\|\|\|(\d+)\|\)/.exec(text)))[1])
      const data = await Promise.all([dial(port), dial(port), dial(port)])
      for (const one of data) {
        one.write(randomBytes(500))
        if (n % 2) one.resetAndDestroy()
      }
      socket.resetAndDestroy()
      for (const one of data) one.destroy()
    }
  })
  t.notOk(readdirSync(join(gateway.files, 'partner')).includes('junk.bin'), 'what a reset cut off is not published')
})

test('slow clients are cut off at the login timeout, and thousands of dropped connections leave nothing open', async (t) => {
  const gateway = await gatewayUnderTest(t, { FILEFLOW_LIMITS_LOGIN_TIMEOUT: '3s' })
  await survives(t, gateway, async () => {
    const slow: Socket[] = []
    const ticking: NodeJS.Timeout[] = []
    for (const port of [gateway.ports.ftp, gateway.ports.sftp]) {
      for (let n = 0; n < 100; n++) {
        const socket = await dial(port)
        socket.resume()
        ticking.push(setInterval(() => socket.destroyed || socket.write(n % 2 ? 'U' : 'S'), 200))
        slow.push(socket)
      }
    }
    await Promise.all(slow.map(closed))
    for (const timer of ticking) clearInterval(timer)
    for (const port of [gateway.ports.ftp, gateway.ports.sftp]) {
      for (let round = 0; round < 20; round++) {
        const sockets = await Promise.all(Array.from({ length: 100 }, () => dial(port)))
        sockets.forEach((socket, n) => {
          if (n % 3 === 0) socket.resetAndDestroy()
          else if (n % 3 === 1) socket.destroy()
          else socket.end('SSH-2.0-x\r\nUSER x\r\n', () => socket.destroy())
        })
      }
    }
  })
})
