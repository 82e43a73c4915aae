// A table on wide screens and a list of cards on narrow ones; and lists that go on by "more".
// Must not know what its rows are.
import { Button, VisuallyHidden } from '@mantine/core'
import { useInfiniteQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import type { Page } from '../../src/core/views.ts'
import { api } from '../api.ts'
import { strings } from '../strings.ts'
import { Loaded } from './panel.tsx'

export interface Column<Row> {
  readonly key: string
  /** '' for a column of buttons: said to screen readers only. */
  readonly label: string
  /** CSS width, such as `8rem`; the rest share what remains. */
  readonly width?: string
  readonly align?: 'end'
  render(row: Row): ReactNode
}

/** Roles are spelled out, as the cards of narrow screens are no table for the browser any more. */
export function Table<Row>({
  label,
  columns,
  rows,
  keyOf,
}: {
  label: string
  columns: readonly Column<Row>[]
  rows: readonly Row[]
  keyOf: (row: Row) => string
}) {
  return (
    <table className="table" aria-label={label}>
      <thead>
        <tr>
          {columns.map((column) => (
            <th key={column.key} scope="col" style={{ width: column.width }} data-align={column.align}>
              {column.label === '' ? <VisuallyHidden>{strings.table.acts}</VisuallyHidden> : column.label}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={keyOf(row)}>
            {columns.map((column) => (
              <td key={column.key} data-label={column.label} data-align={column.align}>
                <div className="cell">{column.render(row)}</div>
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

/** A list of the API that goes on by its cursor. `path` has its query already: `/transfers?state=dead`. */
export function usePages<Row>(key: readonly unknown[], path: string) {
  return useInfiniteQuery({
    queryKey: key,
    initialPageParam: null as string | null,
    queryFn: ({ pageParam }) =>
      api<Page<Row>>('GET', pageParam === null ? path : `${path}${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(pageParam)}`),
    getNextPageParam: (last) => last.next,
    placeholderData: (before) => before,
  })
}

/** The rows of `usePages` as `children` show them, with "more" below; `empty` when there are none. */
export function Paged<Row>({
  query,
  empty,
  children,
}: {
  query: ReturnType<typeof usePages<Row>>
  empty: ReactNode
  children: (rows: readonly Row[]) => ReactNode
}) {
  return (
    <Loaded query={query} rows={8}>
      {({ pages }) => {
        const rows = pages.flatMap((page) => page.items)
        if (rows.length === 0) return empty
        return (
          <>
            {children(rows)}
            <div className="more">
              <span className="quiet" role="status">
                {query.hasNextPage ? strings.table.shown(rows.length) : strings.table.end(rows.length)}
              </span>
              {query.hasNextPage ? (
                <Button variant="default" size="xs" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                  {strings.table.more}
                </Button>
              ) : null}
            </div>
          </>
        )
      }}
    </Loaded>
  )
}
