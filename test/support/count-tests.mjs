// Passes TAP through, tells again at the end what failed (who reads a long run sees its end first, and sometimes no more), and
// ends with the line `N passed, N failed` from tap's own totals; fails when there are none or any failed.
// Must not count by itself: what tap says is what counts.
import { createInterface } from 'node:readline'

const LINES_OF_A_FAILURE = 40
const FAILURES_TOLD = 10

/** Titles of the subtests that the current line is in, from the outermost: four spaces of indentation are one level. */
const within = []
const failures = []
let failure
let deepest = 0
let totals
for await (const line of createInterface({ input: process.stdin })) {
  console.log(line)
  if (/^# \{ total: \d+/.test(line)) totals = line
  const indentation = line.length - line.trimStart().length
  const subtest = /^ *# Subtest: (.*)/.exec(line)
  if (subtest !== null) within.splice(indentation / 4, within.length, subtest[1])
  if (/^ *not ok /.test(line)) {
    // a subtest or file that failed for a failure inside says nothing new
    failure = deepest > indentation ? undefined : [...within.slice(0, indentation / 4), line.trim()]
    deepest = indentation
    if (failure !== undefined) failures.push(failure)
  } else if (/^ *(ok |\d+\.\.\d+|# Subtest)/.test(line)) failure = undefined
  else if (failure !== undefined && failure.length < LINES_OF_A_FAILURE) failure.push(line)
}
if (failures.length > 0) console.log(`# failed (${failures.length}, ${FAILURES_TOLD} at most are told here):`)
for (const lines of failures.slice(0, FAILURES_TOLD)) console.log(lines.map((line) => `#   ${line}`).join('\n'))
const number = (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(totals ?? '')?.[1] ?? 0)
const [passed, failed] = totals === undefined ? [0, 1] : [number('pass'), number('fail')]
if (totals === undefined) console.log('# tap ended without totals: it crashed or was killed')
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 || passed === 0 ? 1 : 0
