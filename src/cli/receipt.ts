// `receipt`: a delivery's signed receipt, the key that signs, and the check of a receipt from anywhere.
// Must not sign; the gateway does.
import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { FileFlowError } from '../core/errors.ts'
import { keyDer, keyFingerprint, proofText, type SignedReceipt, verifyReceipt } from '../core/receipt.ts'
import { formatSize } from '../core/units.ts'
import { ask } from './api-client.ts'
import { type Command, type CommandIo, parse, printable, UsageError } from './command.ts'

const LARGEST = 2 ** 20

export const receipt: Command = {
  name: 'receipt',
  summary: 'signed proof of a delivery: get, verify',
  usage: `Usage: fileflow receipt get ID [--config FILE]
       fileflow receipt verify FILE [--key KEY] [--config FILE]
       fileflow receipt key [--config FILE]

get prints the receipt of a delivery, signed with the gateway's key. verify checks one: KEY is the fingerprint (SHA256:…) or the file of
the public key that must have signed it; without it, this gateway's own. key prints the public key, to be given to those who check.
verify ends with 1 when the receipt is not genuine.`,
  async run([verb, ...rest], io) {
    if (verb === 'get') return get(rest, io)
    if (verb === 'verify') return check(rest, io)
    if (verb === 'key') {
      const { values } = parse(rest, {}, [0, 0])
      io.stdout.write((await gatewayKey(io, values.config)).public_key)
      return 0
    }
    throw new UsageError('say what: get, verify or key')
  },
}

async function get(args: string[], io: CommandIo): Promise<number> {
  const { values, positionals } = parse(args, {}, [1, 1])
  const path = `/deliveries/${encodeURIComponent(positionals[0]!)}/receipt`
  const signed = await ask<SignedReceipt>(await io.transport(values.config), 'GET', path)
  io.stdout.write(`${JSON.stringify(signed, null, 2)}\n`)
  return 0
}

async function check(args: string[], io: CommandIo): Promise<number> {
  const { values, positionals } = parse(args, { key: { type: 'string' } }, [1, 1])
  const text = readText(positionals[0]!)
  const trusted = values.key === undefined ? (await gatewayKey(io, values.config)).fingerprint : fingerprintOf(values.key)
  const found = verifyReceipt(text, trusted)
  const how = { sent: 'delivered', found: 'found already there', skipped: 'skipped: the name was taken' }[found.outcome] ?? found.outcome
  io.stdout.write(`Genuine, signed by ${trusted}.
${printable(found.path)} of ${printable(found.user)}, ${formatSize(found.size)}, sha256 ${printable(found.sha256)}
${printable(how)}: ${printable(found.destination)} ${printable(found.remote_path)}
at ${printable(found.delivered_at)}, verified by ${printable(proofText(found))}
`)
  return 0
}

const gatewayKey = async (io: CommandIo, config: string | undefined) =>
  ask<{ public_key: string; fingerprint: string }>(await io.transport(config), 'GET', '/receipts/key')

function fingerprintOf(key: string): string {
  if (key.startsWith('SHA256:')) return key
  try {
    return keyFingerprint(keyDer(createPublicKey(readText(key))))
  } catch (error) {
    if (error instanceof FileFlowError) throw error
    throw new FileFlowError('request.invalid', `${key} holds no public key.`, { cause: error })
  }
}

function readText(file: string): string {
  try {
    const text = readFileSync(file, 'utf8')
    if (text.length <= LARGEST) return text
  } catch (error) {
    throw new FileFlowError('path.not_found', `Cannot read ${file}: ${(error as NodeJS.ErrnoException).code}.`, { cause: error })
  }
  throw new FileFlowError('request.invalid', `${file} is too large for a receipt.`)
}
