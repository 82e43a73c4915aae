// A self-signed X.509 v3 certificate for an ECDSA P-256 key, as DER by hand (RFC 5280), so that FTPS works before anyone has bought one.
// Must not read or write files; credentials.ts does.
import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { isIP } from 'node:net'

export interface CertificateRequest {
  readonly key: KeyObject
  /** The first is the common name. */
  readonly names: readonly string[]
  /** ms */
  readonly notBefore: number
  readonly notAfter: number
  /** 16 random bytes. */
  readonly serial: Buffer
}

const OID = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
} as const

/** The certificate as PEM, valid for a TLS server under any of the names. */
export function selfSignedCertificate({ key, names, notBefore, notAfter, serial }: CertificateRequest): string {
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const algorithm = sequence(oid(OID.ecdsaWithSha256))
  const name = sequence(set(sequence(oid(OID.commonName), tagged(0x0c, Buffer.from(names[0]!.slice(0, 64))))))
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    algorithm,
    name,
    sequence(time(notBefore), time(notAfter)),
    name,
    spki,
    tagged(0xa3, extensions(names, spki)),
  )
  const der = sequence(body, algorithm, bitString(sign('sha256', body, key)))
  return `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`
}

function extensions(names: readonly string[], spki: Buffer): Buffer {
  const extension = (id: string, value: Buffer, critical = false) =>
    sequence(oid(id), ...(critical ? [tagged(0x01, Buffer.from([0xff]))] : []), tagged(0x04, value))
  return sequence(
    extension(OID.basicConstraints, sequence(), true),
    // digitalSignature, the first bit: 7 bits of the byte are unused
    extension(OID.keyUsage, tagged(0x03, Buffer.from([7, 0x80])), true),
    extension(OID.extendedKeyUsage, sequence(oid(OID.serverAuth))),
    extension(OID.subjectKeyIdentifier, tagged(0x04, createHash('sha256').update(spki).digest().subarray(0, 20))),
    extension(OID.subjectAltName, sequence(...names.map(alternativeName))),
  )
}

/** GeneralName: [2] dNSName, [7] iPAddress (RFC 5280 §4.2.1.6). */
const alternativeName = (name: string): Buffer =>
  isIP(name) === 0 ? tagged(0x82, Buffer.from(name, 'ascii')) : tagged(0x87, addressBytes(name))

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  const [head, tail] = address.split('::') as [string, string | undefined]
  const groups = (text: string | undefined) => (text ? text.split(':') : [])
  const missing = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array<string>(missing).fill('0'), ...groups(tail)]
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex')
}

// ── DER (X.690) ──

function tagged(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag]), length(content.length), content])
}

function length(n: number): Buffer {
  if (n < 0x80) return Buffer.from([n])
  return n < 0x100 ? Buffer.from([0x81, n]) : Buffer.from([0x82, n >> 8, n & 0xff])
}

const sequence = (...parts: Buffer[]): Buffer => tagged(0x30, Buffer.concat(parts))
const set = (...parts: Buffer[]): Buffer => tagged(0x31, Buffer.concat(parts))
const bitString = (bits: Buffer): Buffer => tagged(0x03, Buffer.concat([Buffer.from([0]), bits]))

/** A positive whole number: no superfluous zeros in front, one where the first bit would mean a minus. */
function integer(bytes: Buffer): Buffer {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start++
  const digits = bytes.subarray(start)
  return tagged(0x02, digits[0]! >= 0x80 ? Buffer.concat([Buffer.from([0]), digits]) : digits)
}

function oid(dotted: string): Buffer {
  const [first, second, ...rest] = dotted.split('.').map(Number) as [number, number, ...number[]]
  const bytes: number[] = []
  for (const arc of [first * 40 + second, ...rest]) {
    const groups = [arc & 0x7f]
    for (let left = arc >>> 7; left > 0; left >>>= 7) groups.unshift((left & 0x7f) | 0x80)
    bytes.push(...groups)
  }
  return tagged(0x06, Buffer.from(bytes))
}

/** UTCTime until 2049, GeneralizedTime from 2050 on (RFC 5280 §4.1.2.5). */
function time(at: number): Buffer {
  const digits = new Date(at).toISOString().replace(/[-:T]|\.\d+/g, '')
  return at < Date.UTC(2050, 0, 1) ? tagged(0x17, Buffer.from(digits.slice(2))) : tagged(0x18, Buffer.from(digits))
}
