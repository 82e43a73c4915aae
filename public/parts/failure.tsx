// A failed load in words, with a way to try again; and notices of acts that worked or did not.
// Must not show more than the problem's detail.
import { Alert, Button, Stack } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { strings } from '../strings.ts'

export function Failure({ error, retry }: { error: unknown; retry: () => void }) {
  return (
    <Alert color="red" title={strings.errors.load} variant="light" role="alert">
      <Stack align="start" gap="sm">
        {error instanceof Error ? error.message : strings.errors.load}
        <Button size="xs" variant="default" onClick={retry}>
          {strings.errors.again}
        </Button>
      </Stack>
    </Alert>
  )
}

export const worked = (message: string): void => {
  notifications.show({ color: 'green', message, closeButtonProps: { 'aria-label': strings.errors.close } })
}

export const failed = (error: unknown): void => {
  notifications.show({
    color: 'red',
    title: strings.errors.title,
    message: error instanceof Error ? error.message : strings.errors.title,
    autoClose: 10_000,
    closeButtonProps: { 'aria-label': strings.errors.close },
  })
}
