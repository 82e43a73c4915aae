// Templates: the remote name of a delivery from words about the file. A result never leaves the destination's base path.
// Must not invent names: an unknown word is refused when the rule is saved.
import { FileFlowError } from './errors.ts'
import { toDisplay, type VirtualPath } from './virtual-path.ts'

export interface TemplateValues {
  /** The final virtual path of the file. */
  readonly path: VirtualPath
  /** The part of it below the rule's fixed part. */
  readonly rest: string
  readonly user: string
  readonly partner: string
  readonly rule: string
  readonly transfer: string
  readonly delivery: string
  /** When the file was completed, ms. */
  readonly at: number
  readonly counter: number
}

const pad = (n: number, width = 2): string => String(n).padStart(width, '0')

function formatTime(at: number, format: string): string {
  const d = new Date(at)
  const parts: Record<string, string> = {
    yyyy: pad(d.getUTCFullYear(), 4),
    yy: pad(d.getUTCFullYear() % 100),
    MM: pad(d.getUTCMonth() + 1),
    dd: pad(d.getUTCDate()),
    HH: pad(d.getUTCHours()),
    mm: pad(d.getUTCMinutes()),
    ss: pad(d.getUTCSeconds()),
    SSS: pad(d.getUTCMilliseconds(), 3),
  }
  return format.replace(/yyyy|yy|MM|dd|HH|mm|SSS|ss/g, (word) => parts[word]!)
}

function fileParts(path: VirtualPath): { filename: string; stem: string; ext: string } {
  const filename = toDisplay(path.slice(path.lastIndexOf('/') + 1))
  const dot = filename.lastIndexOf('.')
  return dot > 0 ? { filename, stem: filename.slice(0, dot), ext: filename.slice(dot + 1) } : { filename, stem: filename, ext: '' }
}

type Word = (values: TemplateValues, argument: string | undefined) => string
/** Text from a person (partner, rule) is one name, never a path. */
const flat = (text: string): string => text.replaceAll('/', '_')

const WORDS: Record<string, Word> = {
  filename: (v) => fileParts(v.path).filename,
  stem: (v) => fileParts(v.path).stem,
  ext: (v) => fileParts(v.path).ext,
  path: (v) => toDisplay(v.rest),
  dir: (v) => toDisplay(v.rest).split('/').slice(0, -1).join('/'),
  user: (v) => flat(v.user),
  partner: (v) => flat(v.partner),
  rule: (v) => flat(v.rule),
  transfer: (v) => v.transfer,
  delivery: (v) => v.delivery,
  date: (v, argument) => formatTime(v.at, argument ?? 'yyyy-MM-dd'),
  time: (v, argument) => formatTime(v.at, argument ?? 'HHmmss'),
  counter: (v, argument) => pad(v.counter, Number(argument ?? 1)),
}

const PLACE = /\{([^{}]*)\}/g

/**
 * @param whose begins the message: which rule or destination it is
 * @throws FileFlowError `template.invalid` naming the unknown word.
 */
export function checkTemplate(template: string, whose = ''): void {
  const refuse = (message: string): never => {
    throw new FileFlowError('template.invalid', `${whose}${message}`)
  }
  for (const [, body] of template.matchAll(PLACE)) {
    const [word, argument] = cut(body!)
    if (!Object.hasOwn(WORDS, word)) {
      const known = Object.keys(WORDS).map((w) => `{${w}}`)
      refuse(`unknown word {${body}}; known: ${known.join(' ')}`)
    }
    if (word === 'counter' && argument !== undefined && !/^[1-9]$/.test(argument)) refuse('{counter:N} takes 1 to 9 digits')
    if (argument === '') refuse(`{${body}}: the format after : is missing`)
    if (argument !== undefined && !['date', 'time', 'counter'].includes(word)) refuse(`{${word}} takes no format`)
  }
  if (template.endsWith('/')) refuse('it ends with /: name the file, too, as in /incoming/{filename}')
  if (/[{}]/.test(template.replace(PLACE, ''))) refuse('a { or } without its partner')
}

/** What no file could ever make good: asked when a rule is saved, not of the rules on record. @throws FileFlowError `template.invalid` */
export function checkRemotePath(template: string, whose: string): void {
  if (template.split('/').includes('..')) {
    throw new FileFlowError('template.invalid', `${whose}${template}: it leaves the base path; .. is no part of a remote name`)
  }
}

const cut = (body: string): [string, string | undefined] => {
  const colon = body.indexOf(':')
  return colon === -1 ? [body, undefined] : [body.slice(0, colon), body.slice(colon + 1)]
}

const fill = (template: string, values: TemplateValues): string =>
  template.replace(PLACE, (_, body: string) => {
    const [word, argument] = cut(body)
    const make = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined
    if (!make) throw new FileFlowError('template.invalid', `unknown word {${word}}`)
    return make(values, argument)
  })

/**
 * The remote path relative to the base path, without a leading slash; each part is a plain name.
 * @throws FileFlowError `template.invalid` when the result is empty or would leave the base path.
 */
export function renderPath(template: string, values: TemplateValues): string {
  const parts = fill(template, values)
    .split('/')
    .filter((part) => part !== '' && part !== '.')
  if (parts.length === 0 || parts.some((part) => part === '..' || /[\0\r\n]/.test(part))) {
    throw new FileFlowError('template.invalid', 'the remote name is empty, holds a line break, or leaves the base path')
  }
  return parts.join('/')
}

/** One name, for temporary files; at most 255 bytes. */
export function renderName(template: string, values: TemplateValues): string {
  const name = fill(template, values)
  if (name === '' || name === '.' || name === '..' || /[/\0\r\n]/.test(name))
    throw new FileFlowError('template.invalid', 'the temporary name is not a plain name')
  return Buffer.byteLength(name) <= 255 ? name : `.${values.delivery}.part`
}
