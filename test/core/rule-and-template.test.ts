// Which file a rule takes, why it does not take another, and the remote name that comes of it.
// Must not know queues or disks.
import { test } from 'tap'
import { compileRule, fixedPart, type RuleSpec } from '../../src/core/rule.ts'
import { checkTemplate, renderName, renderPath, type TemplateValues } from '../../src/core/template.ts'
import { nameFromBytes, ROOT, toVirtualPath, type VirtualPath } from '../../src/core/virtual-path.ts'

const rule = (over: Partial<RuleSpec> = {}): RuleSpec => ({
  name: 'r',
  source: { users: ['customer1'], path: '/in/**' },
  deliver: [{ to: 'hq' }],
  ...over,
})
const path = (text: string): VirtualPath => toVirtualPath(ROOT, text)
const asked = (spec: RuleSpec, text: string, user = 'customer1', always: string[] = []) =>
  compileRule(spec, always).match({ user, path: path(text) })

test('a rule takes a file and says which part of its path is below the pattern', (t) => {
  t.same(asked(rule(), '/in/a/b.txt'), { matched: true, rest: 'a/b.txt' })
  t.same(asked(rule({ source: { path: '/in/report.csv' } }), '/in/report.csv', 'anyone'), { matched: true, rest: 'report.csv' })
  t.same(asked(rule({ source: { path: '/**' } }), '/x/y', 'anyone'), { matched: true, rest: 'x/y' })
  t.equal(fixedPart('/a/{b,c}/d'), '/a')
  t.end()
})

test('a rule that does not match says why, the first reason first', (t) => {
  const why = (...args: Parameters<typeof asked>) => (asked(...args) as { reason: string }).reason
  t.match(why(rule({ enabled: false }), '/in/a'), /disabled/)
  t.match(why(rule(), '/in/a', 'customer2'), /customer2 is not among customer1/)
  t.match(why(rule(), '/out/a'), /does not match \/in\/\*\*/)
  t.match(why(rule(), '/in/a.tmp', 'customer1', ['*.tmp']), /excluded by \*\.tmp/)
  t.match(why(rule({ exclude: ['/in/no/**'] }), '/in/no/a'), /excluded by \/in\/no/)
  t.match(why(rule({ source: { users: ['1', '2', '3', '4', '5', '6'], path: '/**' } }), '/a', 'x'), /1, 2, 3, 4, 5, …$/)
  t.end()
})

test('an exclude without a slash is about the name alone', (t) => {
  t.ok(asked(rule({ exclude: ['skip'] }), '/in/skip/a').matched)
  t.notOk(asked(rule({ exclude: ['skip'] }), '/in/a/skip').matched)
  t.end()
})

test('rules that could never work are refused when they are saved', (t) => {
  t.throws(() => compileRule(rule({ source: { path: 'in/**' } })), { code: 'request.invalid', message: /begins with \// })
  t.throws(() => compileRule(rule({ source: { path: '/[' } })), { code: 'request.invalid' })
  t.throws(() => compileRule(rule({ deliver: [{ to: 'hq', path: '/{nonsense}' }] })), { code: 'template.invalid', message: /nonsense/ })
  t.throws(() => compileRule(rule({ deliver: [{ to: 'hq', path: '/incoming/' }] })), { code: 'template.invalid', message: /\{filename\}/ })
  t.throws(() => compileRule(rule({ source: { path: '**', watch: '/' } })), { code: 'request.invalid', message: /whole machine/ })
  t.throws(() => compileRule(rule({ source: { path: '**', watch: '/srv/x', users: ['u'] } })), {
    code: 'request.invalid',
    message: /no users/,
  })
  t.throws(() => compileRule(rule({ source: { path: '/**', baseline: 'send' } })), { code: 'request.invalid', message: /source\.watch/ })
  const nobody = { source: { path: '**', watch: '/srv/x' }, deliver: [{ to: 'hq', path: '/{user}/{path}' }] }
  t.throws(() => compileRule(rule(nobody)), { code: 'request.invalid', message: /no \{user\}/ })
  t.end()
})

const values = (over: Partial<TemplateValues> = {}): TemplateValues => ({
  path: path('/in/sub/report.v2.csv'),
  rest: 'sub/report.v2.csv',
  user: 'customer1',
  partner: 'Customer One',
  rule: 'r',
  transfer: 'T',
  delivery: 'D',
  at: Date.UTC(2026, 2, 4, 5, 6, 7, 89),
  counter: 42,
  ...over,
})

test('every word of a template is replaced by what it says', (t) => {
  const words: [string, string][] = [
    ['/{path}', 'sub/report.v2.csv'],
    ['/x/{filename}', 'x/report.v2.csv'],
    ['/{stem}_{date:yyyyMMdd}.{ext}', 'report.v2_20260304.csv'],
    ['/{dir}/{filename}', 'sub/report.v2.csv'],
    ['/{date}/{time}', '2026-03-04/050607'],
    ['/{date:yyyy/MM/dd}/{time:HH-mm-ss-SSS}', '2026/03/04/05-06-07-089'],
    ['/{user}/{partner}/{rule}/{transfer}.{delivery}', 'customer1/Customer One/r/T.D'],
    ['/{counter}-{counter:6}', '42-000042'],
    ['//a//./b', 'a/b'],
  ]
  for (const [template, result] of words) {
    t.doesNotThrow(() => checkTemplate(template), template)
    t.equal(renderPath(template, values()), result, template)
  }
  t.equal(renderPath('/{stem}|{ext}', values({ path: path('/.profile') })), '.profile|', 'a leading dot begins no extension')
  t.end()
})

test('a name from a partner cannot leave the base path or break a line', (t) => {
  const refused = { code: 'template.invalid' }
  t.equal(renderPath('/{partner}/x', values({ partner: 'a/../../etc' })), 'a_.._.._etc/x', 'text of a person is one name')
  t.throws(() => renderPath('/{partner}/x', values({ partner: '..' })), refused)
  t.throws(() => renderPath('/../x', values()), refused)
  t.throws(() => renderPath('/{stem}/x', values({ path: path('/in/...') })), refused)
  t.throws(() => renderPath('/{filename}', values({ path: path('/in/a\nb') })), refused)
  t.throws(() => renderPath('/', values()), refused)
  t.equal(renderPath('/{filename}', values({ path: path(`/in/${nameFromBytes(Buffer.from('caf\xe9', 'latin1'))}`) })), 'café')
  t.end()
})

test('braces, formats and counters that mean nothing are refused by name', (t) => {
  for (const bad of [
    '/{}',
    '/{Filename}',
    '/{constructor}',
    '/{filename',
    '/filename}',
    '/{counter:x}',
    '/{counter:12}',
    '/{user:yy}',
    '/{date:}',
  ])
    t.throws(() => checkTemplate(bad), { code: 'template.invalid' }, bad)
  t.end()
})

test('a temporary name is one plain name, however long the file name is', (t) => {
  t.equal(renderName('.{filename}.{delivery}.part', values()), '.report.v2.csv.D.part')
  t.equal(renderName('.{filename}.part', values({ path: path(`/${'é'.repeat(127)}`) })), '.D.part')
  t.throws(() => renderName('{path}', values()), { code: 'template.invalid' })
  t.throws(() => renderName('..', values()), { code: 'template.invalid' })
  t.end()
})
