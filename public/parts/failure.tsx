// A failed load in words, with a way to try again; and notices of acts that worked or did not.
// Must not show more than the problem's detail.
import { Alert, Button, Group, Stack, Text } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { ApiError } from '../api.ts'
import { visible } from '../format.ts'
import { strings } from '../strings.ts'

export function Failure({ error, retry }: { error: unknown; retry: () => void }) {
  const words = error instanceof Error ? error.message : strings.errors.load
  // asked again, it would not be there either
  if (error instanceof ApiError && error.code === 'resource.not_found')
    return (
      <div className="empty" role="alert">
        <Text fw={600}>{visible(words)}</Text>
      </div>
    )
  return (
    <Alert color="red" title={strings.errors.load} variant="light" role="alert">
      <Stack align="start" gap="sm">
        {visible(words)}
        <Button size="xs" variant="default" onClick={retry}>
          {strings.errors.again}
        </Button>
      </Stack>
    </Alert>
  )
}

/** Long enough to read it, to be startled, and to reach for the button. */
const UNDO_MS = 12_000

let notices = 0

/** @param undo takes it back; offered as a button for a while */
export const worked = (message: string, undo?: () => void): void => {
  const id = `worked ${++notices}`
  notifications.show({
    id,
    color: 'green',
    message:
      undo === undefined ? (
        message
      ) : (
        <Group justify="space-between" gap="sm">
          {message}
          <Button
            size="compact-sm"
            variant="default"
            onClick={() => {
              notifications.hide(id)
              undo()
            }}
          >
            {strings.undo.undo}
          </Button>
        </Group>
      ),
    ...(undo === undefined ? {} : { autoClose: UNDO_MS }),
    closeButtonProps: { 'aria-label': strings.errors.close },
  })
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
