// The entry of the forwarder's worker thread.
// Must not hold anything of its own; forwarder.ts does the work.
import { parentPort } from 'node:worker_threads'
import { runForwarder } from './forwarder.ts'

if (!parentPort) throw new Error('this file is the entry of a worker thread')
runForwarder(parentPort)
