// What a login over SSH needs, per user, tried by OpenSSH's own client; and what clients ask for beside files: agents, environments, other users' homes.
// Must not count a login that the disk does not show.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { t as root, type Test, test } from 'tap'
import { connect, RawSftp, statusOf, str } from '../listeners/sftp/raw-client.ts'
import { apart } from '../support/apart.ts'
import { run, startGateway } from '../support/gateway.ts'
import { makeSshKey } from '../support/ssh-keys.ts'

const PASSWORD = 'correct-horse-battery'

/** One for all tests of this file. */
const whole = await startGateway(root)

async function open(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'fileflow-logins-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const key = join(folder, 'key')
  makeSshKey(key, 'ed25519')
  writeFileSync(join(folder, 'file'), 'content')
  const login = { password: PASSWORD, public_keys: [readFileSync(`${key}.pub`, 'utf8').trim()] }
  const gateway = await apart(whole, [
    { username: 'any', ...login },
    { username: 'pass', ...login, ssh_auth: 'password' },
    { username: 'keyed', ...login, ssh_auth: 'key' },
    { username: 'both', ...login, ssh_auth: 'key+password', start_directory: '/in', directories: ['/in'] },
  ])
  /** Puts a file. @param methods as `PreferredAuthentications` names them */
  const put = async (username: string, methods: string, more: readonly string[] = [], password = PASSWORD): Promise<boolean> => {
    const name = `${methods.replaceAll(',', '-')}${more.length}`
    const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'IdentitiesOnly=yes', 'NumberOfPasswordPrompts=1']
    const ran = await run(
      'sshpass',
      [
        '-e',
        'sftp',
        '-F',
        '/dev/null',
        ...[...options, `IdentityFile=${key}`, `PreferredAuthentications=${methods}`, 'BatchMode=no', ...more].flatMap((option) => [
          '-o',
          option,
        ]),
        '-P',
        String(gateway.ports.sftp),
        '-b',
        '-',
        `${username}@127.0.0.1`,
      ],
      { input: `put ${join(folder, 'file')} /${name}\n`, env: { SSHPASS: password, LANG: 'C.UTF-8' } },
    )
    const there = existsSync(join(gateway.files, username, name))
    t.equal(there, ran.code === 0, `${username} by ${methods}: what the client says is so: ${ran.stderr.slice(-300)}`)
    return there
  }
  return { gateway, folder, key, put }
}

test('OpenSSH logs in by what ssh_auth of the user says is enough, and by nothing else', async (t) => {
  const { put } = await open(t)
  const enough: Record<string, Record<string, boolean>> = {
    any: { password: true, publickey: true, 'keyboard-interactive': true, 'publickey,password': true },
    pass: { password: true, publickey: false, 'keyboard-interactive': true, 'publickey,password': true },
    keyed: { password: false, publickey: true, 'keyboard-interactive': false, 'publickey,password': true },
    both: {
      password: false,
      publickey: false,
      'keyboard-interactive': false,
      'publickey,password': true,
      'publickey,keyboard-interactive': true,
    },
  }
  for (const [username, methods] of Object.entries(enough))
    for (const [method, works] of Object.entries(methods)) t.equal(await put(username, method), works, `${username} by ${method}`)
})

test('a wrong password beside the right key logs in where the key is enough, and nowhere else', async (t) => {
  const { put } = await open(t)
  t.ok(await put('any', 'publickey,password', [], 'wrong'))
  t.ok(await put('keyed', 'publickey,password', [], 'wrong'))
  t.notOk(await put('both', 'publickey,password', [], 'wrong'))
  t.notOk(await put('pass', 'publickey,password', [], 'wrong'))
})

test('a client that offers its agent and its environment is not heard, and goes on', async (t) => {
  const { put, key, gateway } = await open(t)
  t.ok(await put('any', 'publickey', ['SendEnv=LANG', 'SetEnv=FOO=bar']))
  const agent = await run('ssh-agent', [
    'sh',
    '-c',
    `ssh-add -q ${key} && ssh -A -F /dev/null -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o SetEnv=FOO=bar -p ${gateway.ports.sftp} any@127.0.0.1 md5sum /publickey2`,
  ])
  t.match(agent, { code: 0, stdout: /^9a0364b9e99bb480dd25e1f0284c8555 {2}\/publickey2/ }, agent.stderr)
  // asked with an answer wanted, when the channel runs (PuTTY does): no is said, and the channel lives on
  const client = await connect(gateway.ports.sftp, { username: 'any', password: undefined, privateKey: readFileSync(key) })
  t.teardown(() => client.destroy())
  const raw = await RawSftp.open(client)
  const { _protocol: protocol } = client as unknown as {
    _protocol: { env(id: number, name: string, value: string, answer: boolean): void }
  }
  const { outgoing, _callbacks: callbacks } = raw.channel as unknown as {
    outgoing: { id: number }
    _callbacks: ((failed: unknown) => void)[]
  }
  for (let i = 0; i < 3; i++) {
    const refused = await new Promise((resolve) => {
      callbacks.push(resolve)
      protocol.env(outgoing.id, 'FOO', 'bar', true)
    })
    t.ok(refused, 'it is told no')
  }
  t.equal((await raw.ask(16, str('.'))).type, 104)
})

test('expand-path knows the user’s own home, no other’s, and does not lead out of it', async (t) => {
  const { gateway, key } = await open(t)
  const both = { username: 'both', privateKey: readFileSync(key), password: PASSWORD, authHandler: ['publickey', 'password'] }
  const client = await connect(gateway.ports.sftp, both)
  t.teardown(() => client.destroy())
  const raw = await RawSftp.open(client)
  const expand = async (typed: string): Promise<string | number> => {
    const reply = await raw.ask(200, str('expand-path@openssh.com'), str(typed))
    return reply.type === 104 ? reply.body.toString('utf8', 8, 8 + reply.body.readUInt32BE(4)) : statusOf(reply)
  }
  for (const [typed, found] of [
    ['~', '/in'],
    ['~/', '/in'],
    ['~/x', '/in/x'],
    ['~both', '/in'],
    ['~both/x', '/in/x'],
    ['x', '/in/x'],
    ['/in', '/in'],
    ['~/..', '/'],
    ['~/../../../etc', '/etc'],
    ['../../..', '/'],
    ['~any', 2],
    ['~root/x', 2],
    ['~both/../../../x', '/x'],
    ['/~', '/~'],
  ] as const)
    t.equal(await expand(typed), found, typed)
  t.equal(statusOf(await raw.ask(200, str('home-directory'), str('any'))), 2)
})
