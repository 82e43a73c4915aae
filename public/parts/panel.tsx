// A titled part of a page: loading, failed, empty, or its content, without jumps in between.
// Must not load anything itself.
import { Group, Paper, Skeleton, Stack, Text, Title } from '@mantine/core'
import { type ReactNode, useId } from 'react'
import { Failure } from './failure.tsx'

export function Panel({
  title,
  count,
  aside,
  children,
}: {
  title: string
  count?: number | undefined
  aside?: ReactNode
  children: ReactNode
}) {
  const id = useId()
  return (
    <Paper component="section" withBorder aria-labelledby={id} className="panel">
      <Group justify="space-between" wrap="nowrap" className="panel-head">
        <Group gap={8} wrap="nowrap">
          <Title order={2} size="h4" id={id}>
            {title}
          </Title>
          {count === undefined ? null : <span className="count">{count}</span>}
        </Group>
        {aside}
      </Group>
      {children}
    </Paper>
  )
}

/** The content once loaded; old content stays while it is read again. */
/** What of a query's answer `Loaded` needs. */
interface Query<T> {
  readonly data: T | undefined
  readonly isError: boolean
  readonly error: unknown
  refetch(): unknown
}

export function Loaded<T>({ query, rows, children }: { query: Query<T>; rows: number; children: (data: T) => ReactNode }) {
  if (query.data !== undefined) return <>{children(query.data)}</>
  if (query.isError) {
    return (
      <div className="row">
        <Failure error={query.error} retry={() => void query.refetch()} />
      </div>
    )
  }
  return (
    <Stack gap="sm" className="row" aria-busy="true">
      {Array.from({ length: rows }, (_, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: placeholders have no identity
        <Skeleton key={at} h={36} />
      ))}
    </Stack>
  )
}

export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="empty">
      <Text fw={600}>{title}</Text>
      <Text size="sm" c="dimmed" component="div">
        {children}
      </Text>
    </div>
  )
}
