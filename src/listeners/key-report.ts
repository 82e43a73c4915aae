// What partners and browsers compare: host keys and certificates with their fingerprints and ends, for the security page.
// Must not hold or show a private key.
import { X509Certificate } from 'node:crypto'
import type { Config } from '../config/schema.ts'
import { FileFlowError } from '../core/errors.ts'
import type { KeyView } from '../core/views.ts'
import { ensureHostKeys, ensureTlsCertificate, fingerprints, readCertificatePair } from './credentials.ts'

const DAY = 86_400_000

/** @param now ms */
export async function keyReport(config: Config, now: number): Promise<KeyView[]> {
  const found: KeyView[] = []
  if (config.sftp.enabled) {
    const { hostKeys } = fingerprints({ hostKeys: await ensureHostKeys(config), tls: null })
    for (const { type, fingerprint } of hostKeys) found.push({ kind: 'ssh-host-key', name: 'sftp', type, fingerprint })
  }
  if (config.ftp.enabled && config.ftp.tls.mode !== 'off') found.push(certificate('ftp', (await ensureTlsCertificate(config)).cert, now))
  const { cert, key } = config.admin.tls
  if (config.admin.enabled && cert !== null && key !== null)
    found.push(certificate('admin', (await readCertificatePair(cert, key)).cert, now))
  return found
}

function certificate(name: string, pem: string, now: number): KeyView {
  try {
    const leaf = new X509Certificate(pem)
    const end = Date.parse(leaf.validTo)
    const { asymmetricKeyType = 'unknown', asymmetricKeyDetails: details } = leaf.publicKey
    const size = details?.namedCurve ?? details?.modulusLength
    return {
      kind: 'certificate',
      name,
      type: size === undefined ? asymmetricKeyType : `${asymmetricKeyType} ${size}`,
      fingerprint: leaf.fingerprint256,
      subject: leaf.subject.replaceAll('\n', ', '),
      not_after: new Date(end).toISOString(),
      days_left: Math.floor((end - now) / DAY),
    }
  } catch (cause) {
    throw new FileFlowError('config.invalid', `The certificate of ${name} cannot be read.`, { cause })
  }
}
