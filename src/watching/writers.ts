// Who still writes: files that some process holds open for writing are not finished, however long they have been quiet.
// Must not fail for what may not be seen: without the right to look into other users' processes only our own user's are seen.
import fs from 'node:fs'

/**
 * Inodes of files below `folder` that a process holds open for writing. Linux (/proc); elsewhere none are found.
 * A file that is only mapped into memory, its handle closed, is not seen.
 */
export async function openForWriting(folder: string): Promise<ReadonlySet<string>> {
  const held = new Set<string>()
  const prefix = `${folder}/`
  for (const pid of await entries('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const fds = `/proc/${pid}/fd`
    for (const fd of await entries(fds)) {
      try {
        if (!fs.readlinkSync(`${fds}/${fd}`).startsWith(prefix)) continue
        // flags are octal; the last two bits: 0 reading, 1 writing, 2 both (open(2))
        const flags = /^flags:\s*([0-7]+)/m.exec(fs.readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))?.[1]
        if (flags === undefined || (Number.parseInt(flags, 8) & 3) === 0) continue
        held.add(String(fs.statSync(`${fds}/${fd}`, { bigint: true }).ino))
      } catch {
        // closed meanwhile, or not ours to see
      }
    }
  }
  return held
}

async function entries(folder: string): Promise<string[]> {
  try {
    return await fs.promises.readdir(folder)
  } catch {
    return []
  }
}
