// Secrets in what far sides say.
// Must not need a far side.
import { test } from 'tap'
import { translatorFor } from '../../../src/forwarding/connectors/errors.ts'

const said = (password: string, text: string): string =>
  translatorFor({ name: 'hq', type: 'ftp', host: 'hq.example', username: 'u', password }).fail('remote.failed', text).message

test('a password in what the far side says is not shown', async (t) => {
  t.equal(said('hunter22', 'login with hunter22 refused').includes('hunter22'), false)
  t.notMatch(said('x9', 'the password "x9" is wrong'), /x9/)
})

test('a short password is not told by the holes it leaves in words', async (t) => {
  t.match(said('x', 'no route to files.warehouse.example'), /files\.warehouse\.example/)
  t.match(said('ex', 'no route to files.warehouse.example'), /files\.warehouse\.example/)
  t.notMatch(said('a', 'this is a reply'), /\*\*\*|this is/, 'what has it as a word is left out whole')
})
