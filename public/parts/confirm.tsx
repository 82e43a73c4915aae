// A question before an act that disturbs someone.
// Must not act itself.
import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { useRef } from 'react'
import { strings } from '../strings.ts'

export interface Question {
  readonly title: string
  readonly text: string
  readonly verb: string
  readonly danger: boolean
  act(): void
}

/** Shown while `question` is not null. */
export function Confirm({ question, onClose }: { question: Question | null; onClose: () => void }) {
  // The words stay while the dialog fades out.
  const asked = useRef(question)
  if (question) asked.current = question
  const shown = asked.current
  return (
    <Modal
      opened={question !== null}
      onClose={onClose}
      title={shown?.title ?? ''}
      centered
      closeButtonProps={{ 'aria-label': strings.errors.close }}
    >
      <Stack>
        <Text size="sm">{shown?.text}</Text>
        <Group justify="flex-end" gap="sm">
          <Button variant="default" onClick={onClose} data-autofocus>
            {strings.confirm.cancel}
          </Button>
          <Button
            color={shown?.danger ? 'red' : undefined}
            onClick={() => {
              onClose()
              shown?.act()
            }}
          >
            {shown?.verb}
          </Button>
        </Group>
      </Stack>
    </Modal>
  )
}
