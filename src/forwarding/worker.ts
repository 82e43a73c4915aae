// The entry of the forwarder's worker thread.
// Must not hold anything of its own; forwarder.ts does the work.
import { parentPort } from 'node:worker_threads'
import { collectSeldom } from '../core/collector.ts'
import { runForwarder } from './forwarder.ts'

collectSeldom()
if (!parentPort) throw new Error('this file is the entry of a worker thread')
runForwarder(parentPort)
