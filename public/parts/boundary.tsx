// What is shown when the page itself breaks.
// Must not hide the cause: it is in the browser's console.
import { Alert, Button, Center, Stack } from '@mantine/core'
import { Component, type ReactNode } from 'react'
import { strings } from '../strings.ts'

export class Boundary extends Component<{ children: ReactNode }, { broken: boolean }> {
  override state = { broken: false }

  static getDerivedStateFromError() {
    return { broken: true }
  }

  override render() {
    if (!this.state.broken) return this.props.children
    return (
      <Center mih="100dvh" p="md">
        <Alert color="red" title={strings.errors.title} maw={480}>
          <Stack align="start">
            {strings.errors.crash}
            <Button onClick={() => location.reload()}>{strings.errors.reload}</Button>
          </Stack>
        </Alert>
      </Center>
    )
  }
}
