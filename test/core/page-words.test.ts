// The admin page has words, in each language, for what the gateway says by short names.
// Must not look at the page; its string files are plain data.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { recorded as english } from '../../public/languages/en/recorded.ts'
import { codes } from '../../public/languages/it/codes.ts'
import { keys } from '../../public/languages/it/keys.ts'
import { recorded as italian } from '../../public/languages/it/recorded.ts'
import { KNOWN, said } from '../../public/languages/it/said.ts'
import { CONFIG_KEYS } from '../../src/config/keys.ts'
import { DestinationSpec } from '../../src/core/destination.ts'
import { ERRORS } from '../../src/core/errors.ts'
import { RuleSpec } from '../../src/core/rule.ts'
import { checker } from '../../src/core/schema.ts'
import { UserSpec } from '../../src/core/user.ts'

const SRC = join(import.meta.dirname, '../../src')

test('Italian has words for every error code, and both languages for every act that the audit log is given by name', async (t) => {
  t.same(
    Object.keys(ERRORS).filter((code) => !Object.hasOwn(codes, code)),
    [],
  )
  t.same(Object.keys(italian.recorded), Object.keys(english.recorded))
  for (const part of Object.keys(english.recorded) as (keyof typeof english.recorded)[])
    t.same(Object.keys(italian.recorded[part]).sort(), Object.keys(english.recorded[part]).sort(), part)
  const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  const named = sources.flatMap((name) =>
    [...readFileSync(join(SRC, name), 'utf8').matchAll(/(?:note|audit)\((?:actor|[^,()]+, )?,? ?'([a-z_]+\.[a-z0-9_]+)'/g)].map(
      (found) => found[1]!,
    ),
  )
  t.ok(named.length > 10)
  t.same(
    [...new Set(named)].filter((action) => !Object.hasOwn(english.recorded.actions, action)),
    [],
  )
})

test('Italian explains every key of the configuration, and none that is not there', async (t) => {
  t.same(Object.keys(keys.keys).sort(), CONFIG_KEYS.map(({ name }) => name).sort())
})

test('what Italian knows to say of our own errors is what the gateway says, with the names in it untouched', async (t) => {
  const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(SRC, name), 'utf8'))
  const spoken = KNOWN.filter((text) => !sources.some((source) => text.split(/\{\+?\}/).every((part) => source.includes(part))))
  t.same(spoken, [])
  t.equal(said('There is no user $& {} \u202e.'), 'L’utente $& {} \u202e non esiste.')
  t.equal(said('User a was changed in the meantime. Try again.'), 'L’utente a è stato cambiato nel frattempo. Riprova.')
  t.equal(said('550 What a far server says. There is no user x.'), '550 What a far server says. There is no user x.', 'stays as it came')
  for (const text of KNOWN) {
    const spoken = text.replaceAll('{}', 'X').replaceAll('{+}', 'is missing')
    t.not(said(spoken), spoken, text)
  }
})

test('what is wrong with a form is said in Italian, whatever field of a user, destination or rule it is', async (t) => {
  const described = (schema: unknown): string[] =>
    schema === null || typeof schema !== 'object'
      ? []
      : Object.entries(schema).flatMap(([key, value]) => (key === 'description' && typeof value === 'string' ? [value] : described(value)))
  const forms = { UserSpec, DestinationSpec, RuleSpec }
  for (const [name, spec] of Object.entries(forms))
    t.same(
      described(spec).filter((text) => said(text) === text),
      [],
      name,
    )

  const user = checker(UserSpec)
  const wrong = (fields: object): string => {
    try {
      user.parse({ username: 'u', ...fields }, 'body')
      return ''
    } catch (error) {
      return said((error as Error).message)
    }
  }
  t.equal(wrong({ quota: { bytes: 'much' } }), 'quota.bytes: byte: un numero, o con un’unità (10GiB) (ora è "much")')
  t.equal(wrong({ limits: { sessions: 'many' } }), 'limits.sessions: un numero da 1 a ∞ (ora è "many")')
  t.equal(wrong({ partner: 'x'.repeat(201) }).slice(0, 50), 'partner: deve avere al massimo 200 caratteri (ora ')
  t.equal(wrong({ protocols: ['smtp'] }), 'protocols.0: ammessi: sftp, ftp (ora è "smtp")')
  t.match(wrong({ nonsense: 1 }), /^nonsense: chiave sconosciuta; qui si conoscono: username, /)
  t.equal(
    said('destination hq: host_keys: insecure accepts any key, so it stands alone'),
    'destinazione hq: host_keys: insecure accetta qualunque chiave, perciò sta da solo',
  )
  t.equal(
    said('user joe: what a far server says (it is so)'),
    'user joe: what a far server says (it is so)',
    'half of it would be worse than none',
  )
})

/** What only who writes code can meet. */
const INNER = ['no role is declared for is missing is missing']

test('whatever we say ourselves to who sets up or watches the gateway has Italian words', (t) => {
  const seen = ['accounts/', 'admin/', 'core/', 'forwarding/', 'intake/', 'watching/', 'app.ts', 'control.ts', 'services.ts']
  const spoken = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && seen.some((part) => name.startsWith(part)))
    .flatMap((name) => [
      ...readFileSync(join(SRC, name), 'utf8').matchAll(/new FileFlowError\(\s*'[a-z_.]+',\s*(`(?:[^`\\]|\\.)*`|'(?:[^'\\]|\\.)*')/g),
    ])
    .map(([, text]) => text!.slice(1, -1).replaceAll('\\`', '`').replaceAll("\\'", "'"))
    // what has no words of its own passes on what has
    .filter((text) => /[a-z]{2}/.test(text.replace(/\$\{[^}]*\}/g, '')))
    .map((text) => text.replace(/\$\{[^}]*\}/g, 'is missing'))
  t.ok(spoken.length > 60, `${spoken.length} texts`)
  t.same(
    [...new Set(spoken)].filter((text) => said(text) === text && !INNER.includes(text)),
    [],
  )
  t.end()
})
