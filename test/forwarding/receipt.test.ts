// Receipts that anyone can check: with the command's own code, and with openssl alone.
// Must not trust the code that signs.
import { execFileSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { canonicalJson, proofText, RECEIPT_TYPE, type ReceiptStatement, verifyReceipt } from '../../src/core/receipt.ts'
import { openReceiptKey } from '../../src/store/receipt-key.ts'
import { tempDir } from '../store/temp-store.ts'

const STATEMENT: ReceiptStatement = {
  type: RECEIPT_TYPE,
  delivery: 'd1',
  transfer: 't1',
  rule: 'r',
  user: 'customer1',
  partner: 'Kunde “Eins” & Söhne',
  path: '/in/ä \u202e.txt',
  destination: 'hq',
  remote_path: '/base/ä.txt',
  size: 5,
  sha256: 'ab'.repeat(32),
  verified: 'hash',
  algorithm: 'sha256',
  outcome: 'sent',
  server: null,
  attempts: 1,
  received_at: '2026-03-04T05:06:07.089Z',
  delivered_at: '2026-03-04T05:06:08.000Z',
}

test('the canonical form is the keys in order, without white space', (t) => {
  t.equal(canonicalJson({ b: [1, null, 'x"'], a: { d: true, c: 'é' } }), '{"a":{"c":"é","d":true},"b":[1,null,"x\\""]}')
  t.end()
})

test('the key is made once, for its owner alone, and a file that holds none is named', (t) => {
  const dir = tempDir(t)
  const first = openReceiptKey(dir)().fingerprint
  t.equal(openReceiptKey(dir)().fingerprint, first)
  t.equal(statSync(join(dir, 'keys', 'receipts.key')).mode & 0o777, 0o600)
  writeFileSync(join(dir, 'keys', 'receipts.key'), 'nonsense')
  t.throws(() => openReceiptKey(dir)(), { code: 'config.invalid' })
  t.end()
})

test('a receipt verifies, and whatever is changed in it is found', (t) => {
  const key = openReceiptKey(tempDir(t))()
  const signed = key.sign(STATEMENT)
  t.same(verifyReceipt(JSON.stringify(signed, null, 2), key.fingerprint), STATEMENT)
  const refused = (change: object, message: RegExp): void => {
    t.throws(() => verifyReceipt(JSON.stringify({ ...signed, ...change }), key.fingerprint), { code: 'request.invalid', message })
  }
  refused({ receipt: { ...STATEMENT, size: 6 } }, /not the one that was signed/)
  refused({ payload: Buffer.from(canonicalJson({ ...STATEMENT, size: 6 })).toString('base64') }, /not genuine/)
  refused({ signature: '' }, /not genuine/)
  refused({ public_key: 'AAAA' }, /another key/)
  refused({ public_key: openReceiptKey(tempDir(t))().sign(STATEMENT).public_key }, /another key/)
  for (const text of ['', '[]', '{}', '"x"', 'null', '{"receipt":{}}'])
    t.throws(() => verifyReceipt(text, key.fingerprint), { code: 'request.invalid' }, text)
  t.end()
})

test('how the hash was asked for is said where it is on record, and a receipt that was signed before it was verifies still', (t) => {
  const key = openReceiptKey(tempDir(t))()
  const before = JSON.stringify(key.sign(STATEMENT))
  t.notMatch(before, /"method"/)
  t.equal(proofText(verifyReceipt(before, key.fingerprint)), 'sha256')
  const asked = verifyReceipt(JSON.stringify(key.sign({ ...STATEMENT, method: 'check-file' })), key.fingerprint)
  t.equal(proofText(asked), 'sha256 (check-file)')
  t.equal(proofText({ verified: 'size', algorithm: null }), 'size')
  t.end()
})

test('openssl alone verifies a receipt, as the documentation says', (t) => {
  const dir = tempDir(t)
  const key = openReceiptKey(dir)()
  writeFileSync(join(dir, 'receipt.json'), `${JSON.stringify(key.sign(STATEMENT), null, 2)}\n`)
  writeFileSync(join(dir, 'key.pem'), key.publicKey)
  const documented = readFileSync(join(import.meta.dirname, '../../docs/deliveries.md'), 'utf8')
  const script = /```sh verify-with-openssl\n([\s\S]*?)```/.exec(documented)![1]!
  const run = () => execFileSync('sh', ['-ec', script], { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  t.match(run(), /Signature Verified Successfully/)
  t.same(JSON.parse(readFileSync(join(dir, 'payload'), 'utf8')), STATEMENT)
  const forged = key.sign({ ...STATEMENT, size: 6 })
  writeFileSync(join(dir, 'receipt.json'), `${JSON.stringify({ ...forged, signature: key.sign(STATEMENT).signature }, null, 2)}\n`)
  t.throws(run, /./)
  t.end()
})
