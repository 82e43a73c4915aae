// A thread that counts what lies below some folders, once, and ends.
// Must not change anything.
import { parentPort, workerData } from 'node:worker_threads'
import { countBelow } from './tree.ts'

const total = { bytes: 0, files: 0 }
for (const path of workerData as readonly string[]) {
  const found = countBelow(path)
  total.bytes += found.bytes
  total.files += found.files
}
parentPort?.postMessage(total)
