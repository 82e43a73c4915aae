// The sign-in page.
// Must not keep the password beyond the call.
import { Alert, Button, Paper, PasswordInput, Stack, Text, TextInput, Title } from '@mantine/core'
import { useForm } from '@mantine/form'
import { useMutation } from '@tanstack/react-query'
import { ArrowLeftRight } from 'lucide-react'
import { useState } from 'react'
import { ApiError, logIn, type Me, whoAmI } from '../api.ts'
import { strings } from '../strings.ts'

export function Login({ onDone }: { onDone: (me: Me) => void }) {
  const form = useForm({ mode: 'uncontrolled', initialValues: { username: '', password: '', totp: '' } })
  const [asked, setCode] = useState<'asked' | 'offered' | null>(null)
  const login = useMutation({
    mutationFn: async ({ username, password, totp }: { username: string; password: string; totp: string }) => {
      const me = await logIn(username, password, totp.trim())
      return (await whoAmI()) ?? me
    },
    onSuccess: onDone,
    onError: (error) => {
      const wanted = error instanceof ApiError ? error.code : undefined
      // With the first the password was right, and only the code is missing; with the second a code opens the way for who has one.
      if (wanted === 'auth.totp_required') setCode('asked')
      else if (wanted === 'limit.rate') setCode((before) => (before === 'asked' ? before : 'offered'))
      if (wanted !== 'auth.totp_required') form.setFieldValue('password', '')
      form.setFieldValue('totp', '')
    },
  })
  const code = login.error instanceof ApiError ? login.error.code : undefined
  const problem =
    code === 'auth.failed'
      ? asked
        ? strings.login.failedWithCode
        : strings.login.failed
      : code === 'auth.totp_required'
        ? undefined
        : code === 'limit.rate'
          ? login.error?.message
          : ((code === undefined || code === 'network' ? undefined : strings.codes[code]) ?? login.error?.message)
  return (
    <main className="login">
      <Paper withBorder shadow="sm" p={{ base: 'lg', sm: 32 }} w="100%" maw={400}>
        <form onSubmit={form.onSubmit((values) => login.mutate(values))}>
          <Stack>
            <div className="login-head">
              <span className="logo large" aria-hidden="true">
                <ArrowLeftRight size={24} strokeWidth={2.5} />
              </span>
              <div>
                <Title order={1} size="h3">
                  {strings.product}
                </Title>
                <Text size="sm" c="dimmed">
                  {strings.tagline}
                </Text>
              </div>
            </div>
            {problem ? (
              <Alert color="red" variant="light" role="alert">
                {problem}
              </Alert>
            ) : null}
            <TextInput
              label={strings.login.username}
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              required
              withAsterisk={false}
              autoFocus
              size="md"
              key={form.key('username')}
              {...form.getInputProps('username')}
            />
            <PasswordInput
              label={strings.login.password}
              autoComplete="current-password"
              required
              withAsterisk={false}
              size="md"
              key={form.key('password')}
              {...form.getInputProps('password')}
            />
            {asked ? (
              <TextInput
                label={strings.login.code}
                description={strings.login.codeHint}
                autoComplete="one-time-code"
                autoCapitalize="none"
                spellCheck={false}
                required={asked === 'asked'}
                withAsterisk={false}
                autoFocus={asked === 'asked'}
                size="md"
                key={form.key('totp')}
                {...form.getInputProps('totp')}
              />
            ) : null}
            <Button type="submit" size="md" loading={login.isPending} fullWidth>
              {strings.login.submit}
            </Button>
            <Text size="xs" c="dimmed">
              {strings.login.hint}
            </Text>
          </Stack>
        </form>
      </Paper>
    </main>
  )
}
