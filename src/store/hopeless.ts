// Which failures of a write are worth another try.
// Must not try anything itself.

/** What the tables refuse, they refuse again. */
const REFUSED = ['SQLITE_CONSTRAINT', 'SQLITE_TOOBIG', 'SQLITE_MISMATCH']

/** A full disk or a busy database is over one day; what the tables refuse, or what never was the database's, fails again. */
export function isHopeless(error: unknown): boolean {
  const code = String((error as { code?: unknown } | null)?.code ?? '')
  return !code.startsWith('SQLITE_') || REFUSED.some((refused) => code.startsWith(refused))
}
