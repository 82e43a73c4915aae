// The listener as the worker sees it: reload, live changes of a principal, progress, and several workers on one port.
// Must not test packets; hostile.test.ts does.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { SFTPWrapper } from 'ssh2'
import { test } from 'tap'
import { toPrincipal } from '../../../src/core/user.ts'
import { createTunedListener } from '../../../src/listeners/sftp/listener.ts'
import { TUNING } from '../../../src/listeners/sftp/tuning.ts'
import { connect, RawSftp, statusOf, str, u32, u64 } from './raw-client.ts'
import { makeKey, setup } from './setup.ts'

test('a new host key is shown to new connections, old ones live on', async (t) => {
  const s = await setup(t)
  const shown = async (): Promise<string> => (await s.run('ssh-keyscan', ['-t', 'ed25519', '-p', String(s.port), '127.0.0.1'])).out
  const client = await connect(s.port)
  const before = await shown()
  const key = makeKey(s.dir, 'new_host', 'ed25519')
  s.listener.reload(s.config, { hostKeys: [readFileSync(key, 'utf8')], tls: null })
  const after = await shown()
  t.match(before, /ssh-ed25519 AAAA/)
  t.match(after, readFileSync(`${key}.pub`, 'utf8').split(' ')[1]!)
  t.notMatch(before, after.split(' ')[2]!.trim())
  s.listener.reload(s.config, { hostKeys: ['not a key'], tls: null })
  t.equal(await shown(), after, 'a key that cannot be read changes nothing')
  t.ok(await RawSftp.open(client))
  client.end()
})

test('a user who may no longer use sftp is sent away at once', async (t) => {
  const s = await setup(t)
  const client = await connect(s.port)
  const closed = once(client, 'close')
  s.listener.principalChanged('s1', toPrincipal({ username: 'partner', protocols: ['ftp'] }, s.home))
  await closed
  t.pass()
})

test('progress of transfers is reported, but not for every packet', async (t) => {
  const s = await setup(t)
  writeFileSync(join(s.home, 'f'), randomBytes(2 ** 20))
  const client = await connect(s.port)
  const sftp = await RawSftp.open(client)
  const handle = await sftp.file('/f', 1)
  for (let i = 0; i < 100; i++) await sftp.ask(5, handle, u64(i), u32(1))
  t.equal(statusOf(await sftp.ask(4, handle)), 0)
  t.ok(s.gatekeeper.progressed.length >= 1 && s.gatekeeper.progressed.length < 50)
  t.strictSame(s.log, ['end /f 100'])
  client.end()
})

test('no session, no file: a login that races a change is refused', async (t) => {
  const s = await setup(t)
  s.gatekeeper.openSession = async () => {
    throw new (await import('../../../src/core/errors.ts')).FileFlowError('limit.sessions')
  }
  const ran = await s.sftp('pwd\n')
  t.not(ran.code, 0)
  t.match(ran.err, /Too many sessions/)
  t.equal(s.files.length, 0)
})

test('several workers share one port', async (t) => {
  const s = await setup(t)
  const other = createTunedListener({ ...s.context, port: s.port }, TUNING)
  t.equal(await other.start(), s.port)
  for (let i = 0; i < 4; i++) {
    const client = await connect(s.port)
    const sftp = await RawSftp.open(client)
    t.equal((await sftp.ask(16, str('.'))).type, 104)
    client.end()
  }
  await other.stop(0)
})

test('what comes over several connections at once does not mix, whatever their ciphers', async (t) => {
  const s = await setup(t)
  const ciphers = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'chacha20-poly1305@openssh.com']
  const sent = ciphers.map(() => randomBytes(3 * 2 ** 20))
  await Promise.all(
    ciphers.map(async (cipher, i) => {
      const client = await connect(s.port, { algorithms: { cipher: [cipher] } })
      const sftp = await new Promise<SFTPWrapper>((resolve, reject) =>
        client.sftp((error, made) => (error ? reject(error) : resolve(made))),
      )
      await promisify((then: (error?: Error | null) => void) => sftp.writeFile(`/${i}`, sent[i]!, then))()
      client.end()
    }),
  )
  for (const [i, content] of sent.entries()) t.ok(readFileSync(join(s.home, `${i}`)).equals(content), ciphers[i]!)
})
