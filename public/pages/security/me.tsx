// My own password and second factor.
// Must not keep a secret beyond the moment it is shown.
import { Alert, Button, PasswordInput, Stack, TextInput } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useMemo, useState } from 'react'
import { encode } from 'uqr'
import { api, type Me } from '../../api.ts'
import { Copy } from '../../parts/copy.tsx'
import { Refusal, Section } from '../../parts/form.tsx'
import { Loaded } from '../../parts/panel.tsx'
import { useSave } from '../../parts/save.ts'
import { strings } from '../../strings.ts'

const words = strings.security.me

interface Mine {
  readonly totp_enabled?: boolean
}

const submit = (run: () => void) => (event: FormEvent) => {
  event.preventDefault()
  run()
}

export function MyAccount({ me }: { me: Me }) {
  const mine = useQuery({ queryKey: ['session-facts'], queryFn: () => api<Mine>('GET', '/session') })
  if (me.csrf === null) return <p className="quiet">{words.console}</p>
  return (
    <div className="form">
      <Section title={words.password} note={words.passwordNote}>
        <Password />
      </Section>
      <Section title={words.factor} note={words.factorNote}>
        <Loaded query={mine} rows={2}>
          {({ totp_enabled }) => <Factor on={totp_enabled === true} />}
        </Loaded>
      </Section>
    </div>
  )
}

function Password() {
  const [current, setCurrent] = useState('')
  const [next, setNext] = useState('')
  const [again, setAgain] = useState('')
  const save = useSave(() => api('POST', '/session/password', { current, new: next }), {
    touches: [],
    done: () => {
      for (const clear of [setCurrent, setNext, setAgain]) clear('')
      return words.changed
    },
  })
  const differ = again !== '' && again !== next
  return (
    <form onSubmit={submit(() => (again === next ? save.run() : undefined))}>
      <Stack>
        <PasswordInput
          label={words.current}
          required
          autoComplete="current-password"
          value={current}
          onChange={({ currentTarget }) => setCurrent(currentTarget.value)}
        />
        <PasswordInput
          label={words.next}
          description={strings.security.admins.passwordRule}
          required
          minLength={8}
          autoComplete="new-password"
          value={next}
          onChange={({ currentTarget }) => setNext(currentTarget.value)}
        />
        <PasswordInput
          label={words.again}
          required
          autoComplete="new-password"
          error={differ ? words.differ : undefined}
          value={again}
          onChange={({ currentTarget }) => setAgain(currentTarget.value)}
        />
        <Refusal error={save.error} />
        <div>
          <Button type="submit" loading={save.busy} disabled={differ}>
            {words.change}
          </Button>
        </div>
      </Stack>
    </form>
  )
}

interface Enrolment {
  readonly secret: string
  readonly uri: string
}

function Factor({ on }: { on: boolean }) {
  const [password, setPassword] = useState('')
  const [enrolment, setEnrolment] = useState<Enrolment | null>(null)
  const [codes, setCodes] = useState<readonly string[] | null>(null)
  const begin = useSave(() => api<Enrolment>('POST', '/session/totp', { password }), {
    touches: [],
    done: (answer) => {
      setPassword('')
      setEnrolment(answer)
      return undefined
    },
  })
  const end = useSave(() => api('DELETE', '/session/totp', { password }), {
    touches: ['session-facts', 'admins'],
    done: () => {
      setPassword('')
      return words.turnedOff
    },
  })
  if (codes) return <Recovery codes={codes} onKept={() => setCodes(null)} />
  if (enrolment) {
    return (
      <Enrol
        enrolment={enrolment}
        onDone={(recovery) => {
          setEnrolment(null)
          setCodes(recovery)
        }}
      />
    )
  }
  const act = on ? end : begin
  return (
    <form onSubmit={submit(act.run)}>
      <Stack>
        <p role="status" className={on ? 'good' : 'quiet'}>
          {on ? words.on : words.off}
        </p>
        <PasswordInput
          label={words.current}
          required
          autoComplete="current-password"
          value={password}
          onChange={({ currentTarget }) => setPassword(currentTarget.value)}
        />
        <Refusal error={act.error} />
        <div>
          <Button type="submit" loading={act.busy} {...(on ? { variant: 'outline', color: 'red' } : {})}>
            {on ? words.turnOff : words.enrol}
          </Button>
        </div>
      </Stack>
    </form>
  )
}

function Enrol({ enrolment, onDone }: { enrolment: Enrolment; onDone: (codes: readonly string[]) => void }) {
  const [code, setCode] = useState('')
  const confirm = useSave(() => api<{ recovery_codes: readonly string[] }>('POST', '/session/totp/confirm', { code: code.trim() }), {
    touches: ['session-facts', 'admins'],
    done: ({ recovery_codes }) => {
      onDone(recovery_codes)
      return undefined
    },
  })
  return (
    <form onSubmit={submit(confirm.run)}>
      <Stack>
        <p>{words.scan}</p>
        <Qr text={enrolment.uri} />
        <div className="once">
          <span>{words.secret}</span>
          <span className="mono grow">{enrolment.secret}</span>
          <Copy text={enrolment.secret} what={words.theSecret} />
        </div>
        <TextInput
          maw={200}
          label={words.code}
          required
          inputMode="numeric"
          autoComplete="one-time-code"
          maxLength={10}
          value={code}
          onChange={({ currentTarget }) => setCode(currentTarget.value)}
        />
        <Refusal error={confirm.error} />
        <div>
          <Button type="submit" loading={confirm.busy}>
            {words.confirm}
          </Button>
        </div>
      </Stack>
    </form>
  )
}

/** One path of black squares on white, whatever the colours of the page: cameras want it so. */
function Qr({ text }: { text: string }) {
  const { size, path } = useMemo(() => {
    const { data, size } = encode(text)
    return { size, path: data.flatMap((row, y) => row.flatMap((dark, x) => (dark ? [`M${x} ${y}h1v1h-1z`] : []))).join('') }
  }, [text])
  return (
    <svg className="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={words.qr} shapeRendering="crispEdges">
      <path d={path} fill="#000" />
    </svg>
  )
}

function Recovery({ codes, onKept }: { codes: readonly string[]; onKept: () => void }) {
  return (
    <Alert color="yellow" variant="light" title={words.recovery}>
      <Stack>
        <p>{words.recoveryNote}</p>
        <ul className="codes mono" aria-label={words.recovery}>
          {codes.map((code) => (
            <li key={code}>{code}</li>
          ))}
        </ul>
        <div className="page-acts">
          <Copy text={codes.join('\n')} what={words.theCodes} />
          <Button variant="default" size="xs" onClick={onKept}>
            {words.saved}
          </Button>
        </div>
      </Stack>
    </Alert>
  )
}
