// Odd requests that a client may make of any SFTP server, and what it is told: for comparing servers.
// Must not know which server is asked.
import { lstatSync } from 'node:fs'
import { join } from 'node:path'
import { type RawSftp, statusOf, str, u32, u64 } from '../listeners/sftp/raw-client.ts'

const [READ, WRITE, APPEND, CREAT, TRUNC, EXCL] = [1, 2, 4, 8, 16, 32]
const [SIZE, OWNER, MODE, TIMES] = [1, 2, 4, 8]

/** A place to ask in; paths are relative to it. */
export interface Side {
  readonly raw: RawSftp
  /** Of a name in the folder, as this side spells it. */
  path(name: string): string
  readonly folder: string
}

type Steps = (side: Side) => Promise<unknown[]>

/** The status, or the type of a better answer. */
const answer = (reply: { type: number; id: number; body: Buffer }): string =>
  reply.type === 101
    ? `status ${statusOf(reply)}`
    : reply.type === 103
      ? `data ${reply.body.subarray(4).toString('latin1')}`
      : `type ${reply.type}`

const opening = async ({ raw, path }: Side, name: string, flags: number, attributes: Uint8Array = u32(0)) => {
  const reply = await raw.ask(3, str(path(name)), u32(flags), attributes)
  return { said: answer(reply), handle: reply.type === 102 ? Buffer.from(reply.body) : str('none') }
}
const file = async (side: Side, name: string, content: string): Promise<void> => {
  const { handle } = await opening(side, name, WRITE | CREAT | TRUNC)
  await side.raw.ask(6, handle, u64(0), str(content))
  await side.raw.ask(4, handle)
}
const extended = (name: string, ...rest: Uint8Array[]) => [200, str(name), ...rest] as const

export const CASES: Record<string, Steps> = {
  async 'READ|TRUNC without WRITE'(side) {
    await file(side, 'f', 'content')
    const { said, handle } = await opening(side, 'f', READ | TRUNC)
    return [said, answer(await side.raw.ask(5, handle, u64(0), u32(10))), answer(await side.raw.ask(4, handle))]
  },
  async 'no flag at all, APPEND alone, TRUNC alone'(side) {
    await file(side, 'f', 'content')
    const said = []
    for (const flags of [0, APPEND, TRUNC, EXCL, CREAT | EXCL]) {
      const opened = await opening(side, 'f', flags)
      said.push(opened.said, answer(await side.raw.ask(5, opened.handle, u64(0), u32(10))), answer(await side.raw.ask(4, opened.handle)))
    }
    return said
  },
  async 'FSETSTAT of permissions on a handle opened for reading'(side) {
    await file(side, 'f', 'content')
    const { handle } = await opening(side, 'f', READ)
    return [
      answer(await side.raw.ask(10, handle, u32(MODE), u32(0o640))),
      answer(await side.raw.ask(10, handle, u32(TIMES), u32(5), u32(6))),
      answer(await side.raw.ask(4, handle)),
      lstatSync(join(side.folder, 'f')).mtimeMs,
    ]
  },
  async 'owners: others’, one’s own, with permissions beside'(side) {
    await file(side, 'f', 'content')
    const { handle } = await opening(side, 'f', READ | WRITE)
    const { uid, gid } = lstatSync(join(side.folder, 'f'))
    const own = [u32(uid), u32(gid)]
    const said = [
      answer(await side.raw.ask(9, str(side.path('f')), u32(OWNER), u32(12345), u32(12345))),
      answer(await side.raw.ask(9, str(side.path('f')), u32(OWNER), ...own)),
      answer(await side.raw.ask(10, handle, u32(OWNER), u32(12345), u32(12345))),
      answer(await side.raw.ask(10, handle, u32(OWNER), ...own)),
      answer(await side.raw.ask(9, str(side.path('f')), u32(OWNER), u32(0xffffffff), u32(gid))),
      answer(await side.raw.ask(9, str(side.path('f')), u32(OWNER | MODE), ...own, u32(0o600))),
      answer(await side.raw.ask(...extended('lsetstat@openssh.com', str(side.path('f')), u32(OWNER), u32(12345), u32(12345)))),
    ]
    return [...said, answer(await side.raw.ask(4, handle))]
  },
  async 'a handle closed twice, and used after'(side) {
    const { handle } = await opening(side, 'f', WRITE | CREAT)
    const said = []
    for (const type of [4, 4, 8]) said.push(answer(await side.raw.ask(type, handle)))
    said.push(answer(await side.raw.ask(5, handle, u64(0), u32(1))), answer(await side.raw.ask(6, handle, u64(0), str('x'))))
    said.push(answer(await side.raw.ask(12, handle)), answer(await side.raw.ask(10, handle, u32(0))))
    return said
  },
  async 'READ behind the end, far behind it, of nothing'(side) {
    await file(side, 'f', 'content')
    const { handle } = await opening(side, 'f', READ)
    const said = []
    for (const [offset, length] of [
      [7, 1],
      [3, 100],
      [2 ** 40, 10],
    ] as const)
      said.push(answer(await side.raw.ask(5, handle, u64(offset), u32(length))))
    return [...said, answer(await side.raw.ask(4, handle))]
  },
  async 'OPENDIR of a folder that is then removed, and one that is then renamed'(side) {
    const said = []
    for (const name of ['d', 'e']) {
      said.push(answer(await side.raw.ask(14, str(side.path(name)), u32(0))))
      const opened = await side.raw.ask(11, str(side.path(name)))
      said.push(answer(opened))
      said.push(
        answer(
          name === 'd'
            ? await side.raw.ask(15, str(side.path(name)))
            : await side.raw.ask(18, str(side.path(name)), str(side.path('other'))),
        ),
      )
      let reply = await side.raw.ask(12, Buffer.from(opened.body))
      while (reply.type === 104) reply = await side.raw.ask(12, Buffer.from(opened.body))
      said.push(answer(reply), answer(await side.raw.ask(4, Buffer.from(opened.body))))
    }
    return said
  },
  async 'RENAME and posix-rename over and into folders'(side) {
    await file(side, 'f', 'file')
    for (const name of ['d', 'd/sub', 'empty', 'full', 'full/x']) await side.raw.ask(14, str(side.path(name)), u32(0))
    const said = []
    const posix = (from: string, to: string) =>
      side.raw.ask(...extended('posix-rename@openssh.com', str(side.path(from)), str(side.path(to))))
    const plain = (from: string, to: string) => side.raw.ask(18, str(side.path(from)), str(side.path(to)))
    for (const [how, from, to] of [
      [plain, 'f', 'd'],
      [posix, 'f', 'd'],
      [plain, 'd', 'f'],
      [posix, 'd', 'f'],
      [plain, 'd', 'd/sub/below'],
      [posix, 'd', 'd/sub/below'],
      [posix, 'd', 'full'],
      [plain, 'd', 'full'],
      [plain, 'd', 'empty'],
      [posix, 'none', 'f'],
      [plain, 'none', 'f2'],
      [posix, 'f', 'f'],
      [plain, 'f', 'none/f'],
      [posix, 'd', 'renamed'],
    ] as const)
      said.push(`${how === plain ? 'rename' : 'posix'} ${from} ${to}: ${answer(await how(from, to))}`)
    return said
  },
  async 'links: hard over a name, of a folder, soft over a name, dangling, read'(side) {
    await file(side, 'f', 'file')
    await file(side, 'g', 'other')
    await side.raw.ask(14, str(side.path('d')), u32(0))
    const said = []
    const hard = (from: string, to: string) => side.raw.ask(...extended('hardlink@openssh.com', str(side.path(from)), str(side.path(to))))
    for (const [from, to] of [
      ['f', 'h'],
      ['f', 'g'],
      ['d', 'hd'],
      ['none', 'hn'],
    ] as const)
      said.push(answer(await hard(from, to)))
    for (const [target, link] of [
      ['f', 'soft'],
      ['nothing', 'dangling'],
      ['f', 'g'],
    ] as const)
      said.push(answer(await side.raw.ask(20, str(target), str(side.path(link)))))
    for (const name of ['soft', 'dangling', 'f', 'none']) said.push(answer(await side.raw.ask(19, str(side.path(name)))))
    said.push(answer(await side.raw.ask(17, str(side.path('dangling')))), answer(await side.raw.ask(7, str(side.path('dangling')))))
    said.push((await opening(side, 'dangling', WRITE | CREAT | EXCL)).said)
    return said
  },
  async 'copy-data onto itself, overlapping, from behind the end'(side) {
    await file(side, 'f', 'abcdef')
    const { handle } = await opening(side, 'f', READ | WRITE)
    const copy = (from: Buffer, at: number, length: number, to: Buffer, into: number) =>
      side.raw.ask(...extended('copy-data', from, u64(at), u64(length), to, u64(into)))
    const said = [answer(await copy(handle, 0, 3, handle, 1)), answer(await copy(handle, 0, 0, handle, 10))]
    return [...said, answer(await side.raw.ask(4, handle))]
  },
  async 'fsync of a handle opened for reading'(side) {
    await file(side, 'f', 'content')
    const { handle } = await opening(side, 'f', READ)
    return [answer(await side.raw.ask(...extended('fsync@openssh.com', handle))), answer(await side.raw.ask(4, handle))]
  },
  async 'SETSTAT of a size: shorter, longer, of a folder, of nothing'(side) {
    await file(side, 'f', 'content')
    await file(side, 'g', 'content')
    await side.raw.ask(14, str(side.path('d')), u32(0))
    const said = []
    for (const [name, size] of [
      ['f', 3],
      ['g', 9],
      ['d', 0],
      ['none', 0],
    ] as const)
      said.push(answer(await side.raw.ask(9, str(side.path(name)), u32(SIZE), u64(size))))
    return said
  },
  async 'what is a folder, or is not: OPEN, OPENDIR, REMOVE, RMDIR, MKDIR'(side) {
    await file(side, 'f', 'content')
    for (const name of ['d', 'd/sub']) await side.raw.ask(14, str(side.path(name)), u32(0))
    return [
      (await opening(side, 'd', WRITE | CREAT)).said,
      (await opening(side, 'none/f', WRITE | CREAT)).said,
      (await opening(side, 'f/below', WRITE | CREAT)).said,
      answer(await side.raw.ask(11, str(side.path('f')))),
      answer(await side.raw.ask(11, str(side.path('none')))),
      answer(await side.raw.ask(13, str(side.path('d')))),
      answer(await side.raw.ask(13, str(side.path('none')))),
      answer(await side.raw.ask(15, str(side.path('f')))),
      answer(await side.raw.ask(15, str(side.path('d')))),
      answer(await side.raw.ask(15, str(side.path('none')))),
      answer(await side.raw.ask(14, str(side.path('f')), u32(0))),
      answer(await side.raw.ask(14, str(side.path('d')), u32(0))),
      answer(await side.raw.ask(14, str(side.path('none/d')), u32(0))),
      answer(await side.raw.ask(16, str(side.path('none/..')))),
      answer(await side.raw.ask(16, str(side.path('none')))),
      answer(await side.raw.ask(16, str(side.path('none/below')))),
    ]
  },
  async 'names with a slash behind them'(side) {
    await file(side, 'f', 'content')
    await side.raw.ask(14, str(side.path('d')), u32(0))
    for (const target of ['d', 'f']) await side.raw.ask(20, str(target), str(side.path(`to-${target}`)))
    const said = []
    for (const [name, flags] of [
      ['none/', WRITE | CREAT | TRUNC],
      ['f/', WRITE | CREAT | TRUNC],
      ['d/', WRITE | CREAT],
      ['f/', READ],
      ['none/', READ],
      ['to-f/', READ],
    ] as const)
      said.push(`open ${name} ${flags}: ${(await opening(side, name, flags)).said}`)
    for (const [type, name, ...rest] of [
      [17, 'f/'],
      [7, 'f/'],
      [17, 'd/'],
      [7, 'to-d/'],
      [19, 'to-d/'],
      [19, 'to-f/'],
      [11, 'd/'],
      [11, 'f/'],
      [13, 'f/'],
      [14, 'new/', u32(0)],
      [14, 'f/', u32(0)],
      [15, 'new/'],
      [15, 'to-d/'],
      [9, 'f/', u32(MODE), u32(0o600)],
      [18, 'f', str(side.path('g/'))],
      [18, 'f/', str(side.path('g'))],
      [18, 'd/', str(side.path('moved/'))],
      [20, 'target', str(side.path('new/'))],
    ] as const)
      said.push(`${type} ${name}: ${answer(await side.raw.ask(type, str(type === 20 ? name : side.path(name)), ...rest))}`)
    return said
  },
  async 'no name at all'(side) {
    await file(side, 'f', 'content')
    const said = []
    for (const [type, ...rest] of [
      [3, u32(READ), u32(0)],
      [3, u32(WRITE | CREAT), u32(0)],
      [7],
      [17],
      [9, u32(MODE), u32(0o700)],
      [11],
      [13],
      [14, u32(0)],
      [15],
      [18, str('x')],
      [19],
      [20, str(side.path('link'))],
    ] as const)
      said.push(`${type}: ${answer(await side.raw.ask(type, str(''), ...rest))}`)
    for (const [name, ...rest] of [
      ['statvfs@openssh.com'],
      ['hardlink@openssh.com', str(side.path('hard'))],
      ['posix-rename@openssh.com', str(side.path('moved'))],
    ] as const)
      said.push(`${name}: ${answer(await side.raw.ask(...extended(name, str(''), ...rest)))}`)
    said.push(answer(await side.raw.ask(18, str(side.path('f')), str(''))), answer(await side.raw.ask(16, str(''))))
    return said
  },
  async 'statvfs of what is there and what is not'(side) {
    await file(side, 'f', 'content')
    await side.raw.ask(20, str('nothing'), str(side.path('dangling')))
    const said = []
    for (const name of ['f', '.', 'none', 'none/x', 'f/x', 'dangling'])
      said.push(`${name} ${answer(await side.raw.ask(...extended('statvfs@openssh.com', str(side.path(name)))))}`)
    return said
  },
  async 'links: written through, changed through, moved over, in circles'(side) {
    await file(side, 'f', 'content')
    await side.raw.ask(14, str(side.path('d')), u32(0))
    for (const [target, link] of [
      ['d', 'to-d'],
      ['f', 'to-f'],
      ['nothing', 'dangling'],
      ['made', 'to-nothing'],
      ['two', 'one'],
      ['one', 'two'],
    ] as const)
      await side.raw.ask(20, str(target), str(side.path(link)))
    const said = []
    for (const [type, name, ...rest] of [
      [9, 'to-f', u32(MODE), u32(0o600)],
      [9, 'dangling', u32(MODE), u32(0o600)],
      [9, 'to-f', u32(SIZE), u64(3)],
      [11, 'to-d'],
      [11, 'dangling'],
      [14, 'dangling', u32(0)],
      [15, 'to-d'],
      [16, 'to-d'],
      [16, 'one'],
      [17, 'one'],
      [7, 'one'],
      [3, 'one', u32(READ), u32(0)],
      [3, 'one', u32(WRITE | CREAT), u32(0)],
      [18, 'to-f', str(side.path('moved'))],
      [18, 'f', str(side.path('dangling'))],
    ] as const)
      said.push(`${type} ${name}: ${answer(await side.raw.ask(type, str(side.path(name)), ...rest))}`)
    for (const [name, flags] of [
      ['dangling', WRITE | CREAT],
      ['moved', WRITE | TRUNC],
    ] as const) {
      const { said: opened, handle } = await opening(side, name, flags)
      said.push(opened, answer(await side.raw.ask(6, handle, u64(0), str('through'))), answer(await side.raw.ask(4, handle)))
    }
    const made = await opening(side, 'to-nothing', READ | CREAT)
    said.push(made.said, answer(await side.raw.ask(4, made.handle)))
    said.push(answer(await side.raw.ask(...extended('posix-rename@openssh.com', str(side.path('f')), str(side.path('to-d'))))))
    return said
  },
  async 'a name whose file is open for writing: looked at, read, and not to be taken by others'(side) {
    const { handle } = await opening(side, 'new', WRITE | CREAT)
    const said = [answer(await side.raw.ask(6, handle, u64(0), str('so far')))]
    const second = await opening(side, 'new', READ)
    said.push(second.said, answer(await side.raw.ask(5, second.handle, u64(0), u32(10))), answer(await side.raw.ask(4, second.handle)))
    for (const [type, name, ...rest] of [
      [17, 'new'],
      [14, 'new', u32(0)],
      [9, 'new', u32(MODE), u32(0o600)],
      [3, 'new', u32(WRITE | CREAT | EXCL), u32(0)],
    ] as const)
      said.push(`${type} ${name}: ${answer(await side.raw.ask(type, str(side.path(name)), ...rest))}`)
    said.push(answer(await side.raw.ask(20, str('target'), str(side.path('new')))), answer(await side.raw.ask(4, handle)))
    await file(side, 'f', 'content')
    const again = await opening(side, 'f', READ | WRITE)
    said.push(answer(await side.raw.ask(6, again.handle, u64(0), str('changed'))), answer(await side.raw.ask(13, str(side.path('f')))))
    // whether CLOSE is told that nothing is kept is our choice
    await side.raw.ask(4, again.handle)
    return [...said, answer(await side.raw.ask(17, str(side.path('f'))))]
  },
  async 'a name whose file is open for writing: renamed, over others, again and again'(side) {
    for (const name of ['old', 'third', 'edited']) await file(side, name, `${name} content`)
    await side.raw.ask(9, str(side.path('third')), u32(MODE), u32(0o600))
    await side.raw.ask(14, str(side.path('d')), u32(0))
    await side.raw.ask(20, str('edited'), str(side.path('link')))
    const [one, other] = [await opening(side, 'new', WRITE | CREAT), await opening(side, 'other', WRITE | CREAT)]
    const edit = await opening(side, 'edited', READ | WRITE)
    const said = [answer(await side.raw.ask(6, one.handle, u64(0), str('so far')))]
    for (const [how, from, to] of [
      ['plain', 'new', 'old'],
      ['plain', 'new', 'other'],
      ['plain', 'new', 'none/x'],
      ['posix', 'new', 'd'],
      ['plain', 'new', 'd/moved'],
      ['plain', 'new', 'x'],
      ['posix', 'd/moved', 'old'],
      ['posix', 'old', 'link'],
      ['posix', 'link', 'third'],
      ['plain', 'edited', 'd/edited'],
    ] as const) {
      const names = [str(side.path(from)), str(side.path(to))]
      const reply =
        how === 'plain' ? await side.raw.ask(18, ...names) : await side.raw.ask(...extended('posix-rename@openssh.com', ...names))
      const there = answer(await side.raw.ask(7, str(side.path(from))))
      said.push(`${how} ${from} ${to}: ${answer(reply)}, then ${there}, ${answer(await side.raw.ask(7, str(side.path(to))))}`)
    }
    said.push(
      answer(await side.raw.ask(6, one.handle, u64(6), str(' and on'))),
      answer(await side.raw.ask(6, edit.handle, u64(0), str('EDITED'))),
    )
    for (const { handle } of [one, other, edit]) said.push(answer(await side.raw.ask(4, handle)))
    return said
  },
  async 'a handle opened for reading, after its name went to another file'(side) {
    await file(side, 'f', 'content')
    const { handle } = await opening(side, 'f', READ)
    await side.raw.ask(18, str(side.path('f')), str(side.path('old')))
    await file(side, 'f', 'another')
    // what is asked of the handle must not change the other file
    await side.raw.ask(10, handle, u32(TIMES), u32(5), u32(6))
    return [
      answer(await side.raw.ask(5, handle, u64(0), u32(10))),
      answer(await side.raw.ask(4, handle)),
      lstatSync(join(side.folder, 'f')).mtimeMs > 1e12,
    ]
  },
}
