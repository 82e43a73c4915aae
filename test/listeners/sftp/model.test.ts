// Random requests to a real gateway and to a plain folder, compared after each: the same answers, the same bytes, the same tree.
// Must not depend on luck: the seeds are fixed, and MODEL_SEED (and MODEL_STEPS) tries others.
import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import type { Client } from 'ssh2'
import { t as root, test } from 'tap'
import { PERMISSIONS } from '../../../src/core/permission.ts'
import { startGateway, until } from '../../support/gateway.ts'
import { FLAG, type ModelFile, PlainModel, statusOf as plainStatus, treeOf } from './plain-model.ts'
import { connect, RawSftp, type Reply, statusOf, str, u32, u64 } from './raw-client.ts'

const SEEDS = process.env.MODEL_SEED ? [Number(process.env.MODEL_SEED)] : [11, 22, 33]
const STEPS = Number(process.env.MODEL_STEPS ?? 250)
const NAMES = ['a', 'b', 'ä c', 'd', 'e']

/** mulberry32 */
function chance(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let x = Math.imul(state ^ (state >>> 15), 1 | state)
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
}

const code = (reply: Reply): number => (reply.type === 101 ? statusOf(reply) : 0)

interface Open {
  readonly handle: Buffer
  readonly file: ModelFile
}

class Run {
  readonly #sftp: RawSftp
  readonly #model: PlainModel
  readonly #random: () => number
  readonly #open: Open[] = []
  readonly trace: string[] = []

  constructor(sftp: RawSftp, model: PlainModel, seed: number) {
    this.#sftp = sftp
    this.#model = model
    this.#random = chance(seed)
  }

  int(below: number): number {
    return Math.floor(this.#random() * below)
  }
  pick<T>(from: readonly T[]): T {
    return from[this.int(from.length)]!
  }
  path(): string {
    const depth = 1 + this.int(3)
    return `/${Array.from({ length: depth }, (_, i) => (i < depth - 1 ? this.pick(['d', 'e']) : this.pick(NAMES))).join('/')}`
  }
  data(): Buffer {
    const length = this.pick([0, 1, 10, 700, 5000])
    return Buffer.from(Array.from({ length }, () => this.int(256)))
  }

  /** Names that an open upload will take stay as they are, and so do the folders they are in; {@link move} alone renames them. */
  free(...paths: string[]): boolean {
    return paths.every((path) => this.#open.every(({ file }) => !(file.flags & FLAG.WRITE) || !`${file.path}/`.startsWith(`${path}/`)))
  }

  /** Where a link leads. */
  target(path: string): string {
    return plainStatus(() => this.#model.follow(path)) === 0 ? this.#model.follow(path) : path
  }

  /** What differs, or null. */
  async step(): Promise<string | null> {
    const kinds = [
      'open',
      'open',
      'open',
      'write',
      'write',
      'write',
      'close',
      'close',
      'read',
      'resize',
      'change',
      'change',
      'names',
      'look',
      'look',
      'digest',
      'copy',
      'move',
      'move',
    ]
    const kind = this.pick(kinds)
    switch (kind) {
      case 'open':
        return this.open()
      case 'change':
        return this.change()
      case 'names':
        return this.names()
      case 'look':
        return this.look()
      case 'digest':
        return this.digest()
      default:
        return this.#open.length === 0 ? null : this.onFile(kind, this.pick(this.#open))
    }
  }

  compare(what: string, got: number, wanted: number): string | null {
    this.trace.push(`${what}: ${got}`)
    return got === wanted ? null : `${what}: ${got} where a plain folder gives ${wanted}`
  }

  async open(): Promise<string | null> {
    const path = this.path()
    const usual = [1, 2 | 8, 2 | 8 | 16, 2 | 8 | 32, 2, 3, 3 | 8, 2 | 4 | 8, 2 | 16, 3 | 8 | 16]
    const flags = this.int(3) === 0 ? this.int(64) : this.pick(usual)
    if (this.#open.length >= 4 || !this.free(path, this.target(path))) return null
    let file: ModelFile | null = null
    const wanted = plainStatus(() => {
      file = this.#model.open(path, flags)
    })
    const reply = await this.#sftp.ask(3, str(path), u32(flags), u32(0))
    if (reply.type === 102 && file) this.#open.push({ handle: Buffer.from(reply.body), file })
    return this.compare(`open ${path} ${flags}`, code(reply), wanted)
  }

  async onFile(kind: string, one: Open): Promise<string | null> {
    const { handle, file } = one
    const writes = (file.flags & FLAG.WRITE) !== 0
    const reads = !writes || (file.flags & FLAG.READ) !== 0
    const at = this.int(file.content.length + 1000)
    if (kind === 'write') {
      const data = this.data()
      const reply = await this.#sftp.ask(6, handle, u64(at), str(data))
      if (writes) PlainModel.write(file, at, data)
      return this.compare(`write ${file.path} ${at} ${data.length}`, code(reply), writes ? 0 : 3)
    }
    if (kind === 'resize') {
      const reply = await this.#sftp.ask(10, handle, u32(1), u64(at))
      if (writes) PlainModel.resize(file, at)
      return this.compare(`resize ${file.path} ${at}`, code(reply), writes ? 0 : 3)
    }
    if (kind === 'read') {
      const length = this.int(6000) + 1
      const reply = await this.#sftp.ask(5, handle, u64(at), u32(length))
      const wanted = file.content.subarray(at, at + length)
      if (reads && wanted.length > 0 && !(reply.type === 103 && reply.body.subarray(4).equals(wanted)))
        return `read ${file.path} ${at}: other bytes`
      return this.compare(`read ${file.path} ${at} ${length}`, code(reply), !reads ? 3 : wanted.length > 0 ? 0 : 1)
    }
    if (kind === 'move') return writes ? this.move(file) : null
    if (kind === 'copy') {
      const into = this.pick(this.#open)
      if (into === one || !reads || !(into.file.flags & FLAG.WRITE)) return null
      const reply = await this.#sftp.ask(200, str('copy-data'), handle, u64(at), u64(0), into.handle, u64(3))
      PlainModel.write(into.file, 3, file.content.subarray(at))
      return this.compare(`copy ${file.path} ${at} to ${into.file.path}`, code(reply), 0)
    }
    this.#open.splice(this.#open.indexOf(one), 1)
    const reply = await this.#sftp.ask(4, handle)
    return this.compare(
      `close ${file.path}`,
      code(reply),
      plainStatus(() => this.#model.close(file)),
    )
  }

  /** The name of an open file. What only a folder that is written in place can do is left out: throwing away another open file. */
  async move(file: ModelFile): Promise<string | null> {
    const { path: from } = file
    // most deep paths lead nowhere
    const [to, overwrite] = [this.int(3) === 0 ? this.path() : `/${this.pick(NAMES)}`, this.int(2) === 0]
    const taken = this.#open.some((other) => other.file.flags & FLAG.WRITE && other.file.path === to)
    if (from === to || (taken ? overwrite : !this.free(to))) return null
    const wanted = plainStatus(() => this.#model.renameOpen(file, to, overwrite, taken))
    const reply = overwrite
      ? await this.#sftp.ask(200, str('posix-rename@openssh.com'), str(from), str(to))
      : await this.#sftp.ask(18, str(from), str(to))
    return this.compare(`${overwrite ? 'posix-' : ''}rename of the open ${from} ${to}`, code(reply), wanted)
  }

  async change(): Promise<string | null> {
    const [from, to] = [this.path(), this.path()]
    const { root } = this.#model
    if (from === to || !this.free(from, to)) return null
    const plain = (path: string): string => join(root, path)
    const cases: readonly [string, () => Promise<Reply>, () => void][] = [
      ['mkdir', () => this.#sftp.ask(14, str(from), u32(0)), () => fs.mkdirSync(plain(from), 0o755)],
      ['mkdir', () => this.#sftp.ask(14, str(from), u32(0)), () => fs.mkdirSync(plain(from), 0o755)],
      ['rmdir', () => this.#sftp.ask(15, str(from)), () => fs.rmdirSync(plain(from))],
      ['remove', () => this.#sftp.ask(13, str(from)), () => fs.unlinkSync(plain(from))],
      ['rename', () => this.#sftp.ask(18, str(from), str(to)), () => this.#model.rename(from, to, false)],
      [
        'posix-rename',
        () => this.#sftp.ask(200, str('posix-rename@openssh.com'), str(from), str(to)),
        () => this.#model.rename(from, to, true),
      ],
      ['symlink', () => this.#sftp.ask(20, str('a'), str(to)), () => fs.symlinkSync('a', plain(to))],
      ['chmod', () => this.#sftp.ask(9, str(from), u32(4), u32(0o740)), () => fs.chmodSync(plain(from), 0o740)],
      ['utime', () => this.#sftp.ask(9, str(from), u32(8), u32(1e9), u32(1e9)), () => fs.utimesSync(plain(from), 1e9, 1e9)],
      ['truncate', () => this.#sftp.ask(9, str(from), u32(1), u64(77)), () => this.#model.setSize(from, 77)],
    ]
    const [name, ask, model] = this.pick(cases)
    if (!this.free(this.target(from))) return null
    const wanted = plainStatus(model)
    return this.compare(`${name} ${from} ${to}`, code(await ask()), wanted)
  }

  async look(): Promise<string | null> {
    const path = this.path()
    const [type, name, look] = this.pick([
      [17, 'stat', fs.statSync],
      [7, 'lstat', fs.lstatSync],
      [19, 'readlink', fs.readlinkSync],
    ] as const)
    if (!this.free(path, this.target(path))) return null
    let stats: fs.Stats | string | undefined
    const wanted = plainStatus(() => {
      stats = look(this.#model.real(path)) as fs.Stats | string
    })
    const reply = await this.#sftp.ask(type, str(path))
    if (wanted === 0 && reply.type === 105) {
      const { mode, size, mtimeMs } = stats as fs.Stats
      if (reply.body.readUInt32BE(20) !== mode) return `${name} ${path}: mode`
      if ((mode & fs.constants.S_IFMT) === fs.constants.S_IFREG && Number(reply.body.readBigUInt64BE(4)) !== size)
        return `${name} ${path}: size`
      if (mtimeMs === 1e12 && reply.body.readUInt32BE(28) !== 1e9) return `${name} ${path}: time`
    }
    if (wanted === 0 && type === 19 && reply.body.toString('utf8', 8, 8 + reply.body.readUInt32BE(4)) !== stats) return `readlink ${path}`
    return this.compare(`${name} ${path}`, code(reply), wanted)
  }

  async digest(): Promise<string | null> {
    const path = this.path()
    if (!this.free(path, this.target(path))) return null
    let hash = ''
    const wanted = plainStatus(() => {
      hash = createHash('sha256')
        .update(fs.readFileSync(this.#model.real(path)))
        .digest('hex')
    })
    const reply = await this.#sftp.ask(200, str('check-file-name'), str(path), str('sha256'), u64(0), u64(0), u32(0))
    if (wanted === 0 && reply.body.toString('hex').slice(-64) !== hash) return `digest ${path}`
    return this.compare(`digest ${path}`, code(reply), wanted)
  }

  async names(): Promise<string | null> {
    const path = this.pick(['/', '/d', '/e', this.path()])
    if (!this.free(path)) return null
    let names: string[] = []
    const wanted = plainStatus(() => {
      names = fs.readdirSync(this.#model.real(path))
      // its own uploader sees what is on its way
      const inside = this.#open.filter(({ file }) => file.flags & FLAG.WRITE && dirname(file.path) === this.#model.follow(path))
      names = [...new Set([...names, ...inside.map(({ file }) => basename(file.path))])]
    })
    const opened = await this.#sftp.ask(11, str(path))
    if (opened.type === 102) {
      const found: string[] = []
      for (let reply = await this.#sftp.ask(12, opened.body); reply.type === 104; reply = await this.#sftp.ask(12, opened.body)) {
        for (let at = 4, n = reply.body.readUInt32BE(0); n > 0; n--) {
          const length = reply.body.readUInt32BE(at)
          found.push(reply.body.toString('utf8', at + 4, at + 4 + length))
          at += 4 + length
          at += 4 + reply.body.readUInt32BE(at) + 32
        }
      }
      await this.#sftp.ask(4, opened.body)
      if (JSON.stringify(found.sort()) !== JSON.stringify(names.sort())) return `names of ${path}: ${found} where there are ${names}`
    }
    return this.compare(`names ${path}`, code(opened), wanted)
  }

  async closeAll(): Promise<void> {
    for (const one of [...this.#open]) await this.onFile('close', one)
  }
}

const gateway = await startGateway(root, { env: { FILEFLOW_UPLOADS_DURABILITY: 'process', FILEFLOW_THREADS_SFTP: '1' } })

/** A user of its own with an empty home, connected. */
async function partner(username: string): Promise<{ home: string; client: Client }> {
  await gateway.apply({ users: [{ username, password: 'correct-horse', permissions: [{ path: '/', allow: [...PERMISSIONS] }] }] })
  const client = await connect(gateway.ports.sftp, { username, password: 'correct-horse' })
  return { home: join(gateway.files, username), client }
}

test('whatever a client asks, its folder is what a plain folder would be', { timeout: 800_000 }, async (t) => {
  for (const seed of SEEDS) {
    const { home, client } = await partner(`u${seed}`)
    const root = await mkdtemp(join(tmpdir(), 'sftp-model-'))
    try {
      const run = new Run(await RawSftp.open(client), new PlainModel(root), seed)
      let difference: string | null = null
      for (let step = 0; step < STEPS && difference === null; step++) {
        difference = await run.step()
        const [ours, plain] = [treeOf(home), treeOf(root)]
        if (difference === null && JSON.stringify(ours) !== JSON.stringify(plain))
          difference = `${run.trace.at(-1)}: other trees\n${ours.join('\n')}\n--\n${plain.join('\n')}`
      }
      t.equal(
        difference,
        null,
        `seed ${seed}, ${run.trace.length} requests${difference ? `\n${difference}\n${run.trace.slice(-30).join('\n')}` : ''}`,
      )
      await run.closeAll()
      t.strictSame(treeOf(home), treeOf(root))
    } finally {
      client.end()
      await rm(root, { recursive: true, force: true })
    }
  }
  await until('no transfer is left open', async () => (await gateway.transfers('&state=open')).length === 0)
})

test('the name of an open file is renamed whatever else is asked at the same time: the file is whole under the new name, and nothing is under the old one', async (t) => {
  const { home, client } = await partner('mover')
  const [sftp, other] = [await RawSftp.open(client), await RawSftp.open(client)]
  /** Asked at once, on one channel; the codes of the answers in the order of the questions. */
  const together = async (...asked: (readonly [type: number, ...parts: Uint8Array[]])[]): Promise<number[]> => {
    const ids = asked.map(([type, ...parts]) => sftp.send(type, ...parts))
    const answers = new Map<number, number>()
    while (answers.size < ids.length) {
      const reply = await sftp.next()
      answers.set(reply.id, code(reply))
    }
    return ids.map((id) => answers.get(id)!)
  }
  const open = (path: string, flags: number) => sftp.ask(3, str(path), u32(flags), u32(0)).then(({ body }) => Buffer.from(body))
  const write = (handle: Buffer, at: number, data: string | Buffer) => [6, handle, u64(at), str(data)] as const
  const move = (from: string, to: string) => [18, str(from), str(to)] as const
  const over = (from: string, to: string) => [200, str('posix-rename@openssh.com'), str(from), str(to)] as const
  const read = (name: string): string => fs.readFileSync(join(home, name), 'utf8')
  // large enough that the upload is told of, and its writes take their time
  const block = Buffer.alloc(200_000, 'x')
  for (const before of [null, 'what was published']) {
    for (let round = 0; round < 8; round++) {
      if (before) fs.writeFileSync(join(home, 'from'), before)
      fs.writeFileSync(join(home, 'onto'), 'replaced')
      const handle = await open('/from', before ? 2 : 2 | 8)
      const to = round % 2 === 0 ? 'to' : 'onto'
      const rename = to === 'to' ? move : over
      // with its CLOSE at once behind it, and with the answer waited for
      const rest = [write(handle, block.length, 'end'), [4, handle] as const]
      const asked = [write(handle, 0, block), rename('/from', `/${to}`), write(handle, 50, 'mine')] as const
      const codes = round < 4 ? await together(...asked, ...rest) : [...(await together(...asked)), ...(await together(...rest))]
      t.same(codes, [0, 0, 0, 0, 0], `round ${round}`)
      const wanted = Buffer.concat([block, Buffer.from('end')])
      wanted.write('mine', 50)
      t.ok(fs.readFileSync(join(home, to)).equals(wanted), `round ${round}`)
      t.same(fs.readdirSync(home).sort(), to === 'to' ? ['onto', 'to'] : ['onto'])
      fs.rmSync(join(home, to))
    }
  }
  fs.rmSync(join(home, 'onto'), { force: true })
  // two handles of one file
  const [one, two] = [await open('/from', 2 | 8), await open('/from', 2 | 8)]
  t.same(await together(write(one, 0, 'one '), move('/from', '/both'), write(two, 4, 'two ')), [0, 0, 0])
  t.same(await together(write(one, 0, 'ONE'), [4, one]), [0, 0])
  t.equal(read('both'), 'ONE two ')
  t.same(await together(write(two, 8, 'and more'), move('/both', '/moved')), [0, 0], 'it goes on from what the other one published')
  t.same(await together(write(two, 16, '!'), [4, two]), [0, 0])
  t.same([fs.readdirSync(home), read('moved')], [['moved'], 'ONE two and more!'])
  // of a taken name, and by another channel of the same session
  const [left, right] = [await open('/left', 2 | 8), await open('/right', 2 | 8)]
  t.same(await together(move('/left', '/right'), over('/left', '/right'), move('/left', '/moved'), move('/none', '/x')), [4, 4, 4, 2])
  t.equal(statusOf(await other.ask(...move('/left', '/elsewhere'))), 0)
  t.same(await together(write(left, 0, 'left'), [4, left], [4, right]), [0, 0, 0])
  t.same([read('elsewhere'), read('right'), fs.readdirSync(home).sort()], ['left', '', ['elsewhere', 'moved', 'right']])
  client.end()
  const rows = await until('no transfer is left open', async () => {
    const found = await gateway.transfers('&user=mover')
    return found.every(({ state }) => state === 'completed') && found
  })
  t.notOk(
    rows.find(({ path }) => ['/both', '/left'].includes(path)),
    'rows go by the names that the files have',
  )
})
