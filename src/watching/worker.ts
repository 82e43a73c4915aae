// The entry of the watcher's worker thread: one WatchedFolder for each folder that the rules name.
// Must not hold anything of its own; watched-folder.ts does the work.
import { mkdirSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { Caller } from '../core/channel.ts'
import { createLogger } from '../core/log.ts'
import type { FromWatcher, ToWatcher, WatchDoor, WatcherData, WatchOrders } from './messages.ts'
import { WatchedFolder } from './watched-folder.ts'

const port = parentPort
if (!port) throw new Error('this file is the entry of a worker thread')
const send = (message: FromWatcher): void => port.postMessage(message)
const { orders: first, spoolFolder, durable } = workerData as WatcherData
const log = createLogger('watcher', (line) => send({ type: 'log', line }))
const caller = new Caller((message) => send(message as FromWatcher))
const door: WatchDoor = {
  enter: (...args) => caller.call('enter', args) as ReturnType<WatchDoor['enter']>,
  sift: (...args) => caller.call('sift', args) as ReturnType<WatchDoor['sift']>,
  scanned: (...args) => caller.call('scanned', args) as ReturnType<WatchDoor['scanned']>,
  record: (...args) => caller.call('record', args) as ReturnType<WatchDoor['record']>,
}

mkdirSync(spoolFolder, { recursive: true, mode: 0o700 })

const watched = new Map<string, { since: number; folder: WatchedFolder }>()
let settleMs = first.settleMs
/** Orders follow each other: a folder that is watched anew is left first. */
let turn: Promise<unknown> = Promise.resolve()

async function obey(orders: WatchOrders): Promise<void> {
  settleMs = orders.settleMs
  const wanted = new Map(orders.folders.map(({ folder, since }) => [folder, since]))
  for (const [name, { since, folder }] of watched) {
    if (wanted.get(name) === since) {
      folder.rescan()
      continue
    }
    watched.delete(name)
    await folder.close()
  }
  for (const [name, since] of wanted) {
    if (watched.has(name)) continue
    const folder = new WatchedFolder({ folder: name, door, log, settleMs: () => settleMs, spoolFolder, durable })
    watched.set(name, { since, folder })
  }
}

port.on('message', (message: ToWatcher) => {
  switch (message.type) {
    case 'reply':
      return caller.settle(message)
    case 'orders':
      turn = turn.then(() => obey(message))
      return
    case 'stop':
      turn = turn.then(() => obey({ folders: [], settleMs })).then(() => send({ type: 'stopped' }))
  }
})

turn = obey(first)
send({ type: 'ready' })
