// Named points at which a fault test makes the process or a worker die, once. Without FILEFLOW_TEST_POINT they are nothing.
// Must not do anything else, and never without that variable; the one file of core that looks at a disk, for the tests' sake.
import { readFileSync, rmSync } from 'node:fs'

export type TestPoint =
  | 'upload.begun'
  | 'upload.written'
  | 'upload.whole'
  | 'upload.committed'
  | 'upload.spooled'
  | 'upload.renamed'
  | 'upload.published'
  | 'delivery.started'
  | 'delivery.sent'
  | 'delivery.settled'
  | 'rename.committed'
  | 'rename.spooled'
  | 'rename.renamed'
  | 'remove.removed'

/** `kill` ends the process as a power switch would, `crash` throws out of any handler in the thread that gets there. */
const how = process.env.FILEFLOW_TEST_POINT
/** A file that says which point is live, while it is there: whoever gets there first takes it away. */
const fuse = process.env.FILEFLOW_TEST_FUSE

export const testPoint: (name: TestPoint) => void =
  how === undefined || fuse === undefined
    ? () => {}
    : (name) => {
        if (!burn(fuse, name)) return
        if (how === 'kill') process.kill(process.pid, 'SIGKILL')
        setImmediate(() => {
          throw new Error(`test crash at ${name}`)
        })
      }

function burn(file: string, name: TestPoint): boolean {
  try {
    if (readFileSync(file, 'utf8') !== name) return false
    rmSync(file)
    return true
  } catch {
    return false
  }
}
