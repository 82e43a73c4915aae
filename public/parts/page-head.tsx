// The top of a page: its name, what one can do there, and the name in the browser's tab.
// Must not load anything.
import { Title } from '@mantine/core'
import { type ReactNode, useEffect } from 'react'
import { strings } from '../strings.ts'

/** `title` may hold a name from outside; `children` are its buttons. */
export function PageHead({ title, note, children }: { title: string; note?: ReactNode; children?: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · ${strings.product}`
  }, [title])
  return (
    <div className="page-head">
      <div className="grow">
        <Title order={1} size="h2">
          <bdi>{title}</bdi>
        </Title>
        {note === undefined ? null : <div className="quiet">{note}</div>}
      </div>
      {children === undefined ? null : <div className="page-acts">{children}</div>}
    </div>
  )
}
