// A question before an act that cannot be undone: the name of its object is typed.
// Must not act itself.
import { Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core'
import { useState } from 'react'
import { strings } from '../strings.ts'

export function TypedConfirm({
  opened,
  name,
  title,
  text,
  verb,
  onClose,
  act,
}: {
  opened: boolean
  name: string
  title: string
  text: string
  verb: string
  onClose: () => void
  act: () => void
}) {
  const [typed, setTyped] = useState('')
  const close = () => {
    setTyped('')
    onClose()
  }
  return (
    <Modal opened={opened} onClose={close} title={title} centered closeButtonProps={{ 'aria-label': strings.errors.close }}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (typed !== name) return
          close()
          act()
        }}
      >
        <Stack>
          <Text size="sm">{text}</Text>
          <TextInput
            label={strings.form.typeName(name)}
            value={typed}
            autoComplete="off"
            spellCheck={false}
            data-autofocus
            onChange={({ currentTarget }) => setTyped(currentTarget.value)}
          />
          <Group justify="flex-end" gap="sm">
            <Button variant="default" onClick={close}>
              {strings.confirm.cancel}
            </Button>
            <Button type="submit" color="red" disabled={typed !== name}>
              {verb}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}
