// The code of every reply that the RFCs name, asked for with good, bad and misplaced arguments.
// Must not transfer anything; transfers.test.ts does.
import { mkdirSync, writeFileSync } from 'node:fs'
import { type Test, test } from 'tap'
import { RawClient, received, startFtp } from './support.ts'

/** `command → code`, in order, on one session. */
async function dialogue(t: Test, client: RawClient, lines: readonly (readonly [string, number])[]): Promise<void> {
  for (const [command, code] of lines) {
    const reply = await client.ask(command)
    t.equal(Number(reply.slice(0, 3)), code, `${command} → ${reply.split('\r\n')[0]}`)
  }
}

test('a command that takes no argument refuses one, and one that needs it says so (501)', async (t) => {
  const { port } = await startFtp(t)
  const client = await RawClient.login(port)
  await dialogue(t, client, [
    ...['PWD', 'XPWD', 'CDUP', 'XCUP', 'PASV', 'FEAT', 'SYST', 'REIN', 'QUIT', 'ABOR', 'CCC'].map((verb) => [`${verb} x`, 501] as const),
    ['PWD ', 257],
    ...['CWD', 'MKD', 'RMD', 'DELE', 'RNFR', 'RNTO', 'SIZE', 'MDTM', 'MFMT', 'RETR', 'STOR', 'APPE', 'TYPE', 'STRU'].map(
      (verb) => [verb, 501] as const,
    ),
    ...['HASH', 'RANG', 'XCRC', 'XMD5', 'XSHA1', 'XSHA256', 'XSHA512', 'SITE CHMOD', 'SITE UTIME'].map((verb) => [verb, 501] as const),
    ...['MODE', 'REST', 'ALLO', 'PORT', 'EPRT', 'AUTH', 'PBSZ', 'PROT', 'OPTS', 'SITE', 'USER', 'CLNT'].map((verb) => [verb, 501] as const),
  ])
})

test('TYPE, STRU and MODE: what RFC 959 knows and we do not is 504, anything else 501', async (t) => {
  const { port } = await startFtp(t)
  await dialogue(t, await RawClient.login(port), [
    ['TYPE A', 200],
    ['TYPE A N', 200],
    ['type i', 200],
    ['TYPE L 8', 200],
    ['TYPE A T', 504],
    ['TYPE A C', 504],
    ['TYPE E', 504],
    ['TYPE L 36', 504],
    ['TYPE AX', 501],
    ['TYPE X', 501],
    ['TYPE L', 501],
    ['TYPE I N', 501],
    ['STRU F', 200],
    ['STRU R', 504],
    ['STRU P', 504],
    ['STRU FILE', 501],
    ['MODE S', 200],
    ['MODE B', 504],
    ['MODE Z', 504],
    ['MODE SS', 501],
  ])
})

test('numbers and times are checked before anything is done with them', async (t) => {
  const { port, root } = await startFtp(t)
  writeFileSync(`${root}/f`, 'abc')
  await dialogue(t, await RawClient.login(port), [
    ['REST 10', 350],
    ['REST 0', 350],
    ['REST -1', 501],
    ['REST 1x', 501],
    ['REST 99999999999999999999', 501],
    ['ALLO 100', 200],
    ['ALLO 100 R 10', 200],
    ['ALLO x', 501],
    ['MDTM f', 213],
    ['MDTM none', 550],
    ['SIZE f', 213],
    ['SIZE .', 550],
    ['MFMT 20200102030405 f', 213],
    ['MFMT 20201302030405 f', 501],
    ['MFMT 20200230030405 f', 501],
    ['MFMT 20200229030405 f', 213],
    ['MFMT 20200102240000 f', 501],
    ['MFMT 20200102030405', 501],
    ['MFMT yesterday f', 501],
    ['SITE CHMOD 640 f', 200],
    ['SITE CHMOD 998 f', 501],
    ['SITE CHMOD 640', 501],
    ['SITE UTIME 202001020304 f', 200],
    ['SITE UTIME f', 501],
    ['SITE HELP', 214],
    ['SITE WHO', 502],
    ['SITE EXEC ls', 500],
  ])
})

test('order: 503 for what comes too early', async (t) => {
  const { port, root } = await startFtp(t, { tls: true })
  writeFileSync(`${root}/f`, 'abc')
  await dialogue(t, await RawClient.open(port), [
    ['PASS secret', 503],
    ['PBSZ 0', 503],
    ['PROT P', 503],
    ['USER partner', 331],
    ['PASS secret', 230],
    ['PASS secret', 202],
    ['ACCT x', 202],
    ['RNTO g', 503],
    ['RNFR none', 550],
    ['RNTO g', 503],
    ['RNFR f', 350],
    ['RNTO g', 250],
    ['RNTO h', 503],
    ['RETR g', 425],
    ['LIST', 425],
  ])
})

test('unknown is 500, known but not offered is 502', async (t) => {
  const { port } = await startFtp(t)
  await dialogue(t, await RawClient.login(port), [
    ['', 500],
    ['XYZZY', 500],
    ['__proto__', 500],
    ['constructor x', 500],
    ['toString', 500],
    ...['SMNT x', 'LPSV', 'LPRT 1', 'LANG it', 'HOST a.example', 'ADAT x', 'MIC x', 'CONF x', 'ENC x'].map((line) => [line, 502] as const),
    ['AUTH TLS', 502],
    ['PORT 127,0,0,1,200,1', 502],
    ['HELP XYZZY', 502],
    ['HELP STOR', 214],
    ['HELP', 214],
    ['NOOP', 200],
    ['NOOP x', 200],
    ['SYST', 215],
    ['CLNT x', 200],
    ['OPTS UTF8 ON', 200],
    ['OPTS UTF8', 200],
    ['OPTS UTF8 OFF', 504],
    ['OPTS UTF8 MAYBE', 501],
    ['OPTS MLST type;nonsense;', 200],
    ['OPTS NONSENSE', 501],
    ['QUIT', 221],
  ])
})

test('RFC 2228 and 4217: the codes of AUTH, PBSZ, PROT and CCC', async (t) => {
  const { port } = await startFtp(t, { tls: true })
  const client = await RawClient.open(port)
  await dialogue(t, client, [
    ['AUTH KERBEROS_V4', 504],
    ['CCC', 533],
    ['AUTH tls', 234],
  ])
  await client.startTls()
  await dialogue(t, client, [
    ['AUTH TLS', 503],
    ['PROT P', 503],
    ['PBSZ x', 501],
    ['PBSZ 4294967295', 200],
    ['PROT S', 536],
    ['PROT E', 536],
    ['PROT X', 504],
    ['PROT P', 200],
    ['PROT C', 200],
    ['CCC', 534],
    ['USER partner', 331],
    ['PASS secret', 230],
  ])
})

test('the X forms of RFC 775 do what the plain ones do', async (t) => {
  const { port, root } = await startFtp(t)
  await dialogue(t, await RawClient.login(port), [
    ['XMKD d', 257],
    ['XCWD d', 250],
    ['XPWD', 257],
    ['XCUP', 250],
    ['XRMD d', 250],
    ['XCWD d', 550],
  ])
  mkdirSync(`${root}/a "b"`)
  const client = await RawClient.login(port)
  t.equal(await client.ask('CWD a "b"'), '250 "/a ""b""" is the current directory.', 'quotes are doubled (RFC 959 appendix II)')
})

test('SIZE is about bytes: refused once TYPE A was chosen for files, answered after listings of clients that leave it behind', async (t) => {
  const { port, root } = await startFtp(t)
  writeFileSync(`${root}/f`, 'a\nb\n')
  const client = await RawClient.login(port)
  await dialogue(t, client, [
    ['TYPE A', 200],
    ['SIZE f', 550],
  ])
  const data = await client.data()
  t.match(await client.ask('NLST'), /^150 /)
  await received(data)
  t.match(await client.reply(), /^226 /)
  t.equal(await client.ask('SIZE f'), '213 4')
  await dialogue(t, client, [
    ['TYPE A', 200],
    ['SIZE f', 550],
    ['TYPE I', 200],
    ['SIZE f', 213],
  ])
})

test('a restart point behind the end is 554, for STOR and RETR', async (t) => {
  const { port, root } = await startFtp(t)
  writeFileSync(`${root}/f`, 'abc')
  const client = await RawClient.login(port)
  for (const verb of ['STOR', 'RETR']) {
    const data = await client.data()
    await client.ask('REST 4')
    t.match(await client.ask(`${verb} f`), /^554 /, verb)
    data.destroy()
  }
})

test('a data connection that nobody opens is given up with 425', async (t) => {
  const { port } = await startFtp(t, { limits: { transfer_stall_timeout: 50 } })
  const client = await RawClient.login(port)
  await client.passivePort()
  t.match(await client.ask('STOR f'), /^150 /)
  t.match(await client.reply(), /^425 /)
  t.match(await client.ask('NOOP'), /^200 /)
})
