// The entry of the forwarder's worker thread.
// Must not hold anything of its own; forwarder.ts does the work.
import v8 from 'node:v8'
import { parentPort } from 'node:worker_threads'
import { runForwarder } from './forwarder.ts'

v8.setFlagsFromString('--external-memory-accounted-in-global-limit')
if (!parentPort) throw new Error('this file is the entry of a worker thread')
runForwarder(parentPort)
