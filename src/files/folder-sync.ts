// Makes new names durable: an upload's row may end only when its name would survive a power loss.
// Must not sync a folder once for each file when one sync covers many.
import fs from 'node:fs'
import { sync } from './file-io.ts'

interface Waiting {
  fd: number
  readonly whoWaits: ((error?: unknown) => void)[]
}

export class FolderSync {
  /** By device and inode of the folder: what waits for the next sync of it, while one runs. */
  readonly #running = new Map<string, Waiting | null>()

  /** @param path of the open folder; it may be closed as soon as this returns. @param then called once every name that is there now is durable, or with what failed */
  later(path: string, then: (error?: unknown) => void): void {
    let fd: number
    try {
      fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
    } catch (error) {
      then(error)
      return
    }
    const { dev, ino } = fs.fstatSync(fd)
    const key = `${dev}:${ino}`
    const next = this.#running.get(key)
    if (next === undefined) {
      this.#running.set(key, null)
      void this.#run(key, { fd, whoWaits: [then] })
    } else if (next === null) this.#running.set(key, { fd, whoWaits: [then] })
    else {
      fs.closeSync(fd)
      next.whoWaits.push(then)
    }
  }

  async #run(key: string, { fd, whoWaits }: Waiting): Promise<void> {
    const error = await sync(fd).then(
      () => undefined,
      (why: unknown) => why,
    )
    fs.closeSync(fd)
    for (const each of whoWaits) each(error)
    const next = this.#running.get(key)
    if (next) {
      this.#running.set(key, null)
      await this.#run(key, next)
    } else this.#running.delete(key)
  }
}
