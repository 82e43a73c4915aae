// Who is logged in, and so what is shown: the sign-in page or the shell with a page in it.
// Must not load what pages show.
import { Center, Loader, Skeleton, Stack } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Suspense, useEffect, useRef, useState } from 'react'
import { type Me, whenLoggedOut, whoAmI } from './api.ts'
import { type Live, LiveContext, openLive } from './live.ts'
import { Login } from './pages/login.tsx'
import { findPage, may } from './pages.ts'
import { Boundary } from './parts/boundary.tsx'
import { Failure } from './parts/failure.tsx'
import { PageHead } from './parts/page-head.tsx'
import { Empty } from './parts/panel.tsx'
import { go, Link, usePath } from './router.tsx'
import { Shell } from './shell.tsx'
import { strings } from './strings.ts'

export function App() {
  const path = usePath()
  const queries = useQueryClient()
  const me = useQuery({ queryKey: ['me'], queryFn: whoAmI, refetchInterval: false, staleTime: Number.POSITIVE_INFINITY })
  const username = me.data?.username
  const [live, setLive] = useState<Live | null>(null)

  useEffect(() => {
    whenLoggedOut(() => queries.setQueryData(['me'], null))
  }, [queries])

  useEffect(() => {
    if (username === undefined) return
    const opened = openLive(queries)
    setLive(opened)
    return () => {
      opened.close()
      setLive(null)
    }
  }, [username, queries])

  const before = useRef(path)
  useEffect(() => {
    // A new page is read from its top, by eye and by screen reader.
    if (before.current !== path) {
      scrollTo(0, 0)
      document.getElementById('content')?.focus({ preventScroll: true })
    }
    before.current = path
  }, [path])

  const wanted = useRef('/')
  useEffect(() => {
    if (me.data === null && path !== '/login') {
      wanted.current = location.pathname + location.search
      go('/login', true)
    }
    if (me.data && path === '/login') go(wanted.current, true)
  }, [me.data, path])

  if (me.isError) {
    return (
      <Center mih="100dvh" p="md">
        <Failure error={me.error} retry={() => void me.refetch()} />
      </Center>
    )
  }
  if (me.isPending) {
    return (
      <Center mih="100dvh">
        <Loader aria-label="FileFlow" />
      </Center>
    )
  }
  if (me.data === null) return <Login onDone={(who) => queries.setQueryData(['me'], who)} />
  return (
    <LiveContext value={live}>
      <Shell me={me.data} live={live}>
        <Boundary key={path}>
          <Suspense fallback={<Opening />}>
            <Present me={me.data} path={path} />
          </Suspense>
        </Boundary>
      </Shell>
    </LiveContext>
  )
}

/** The page that the address names. */
function Present({ me, path }: { me: Me; path: string }) {
  const found = findPage(path)
  if (!found || !may(me, found.entry.role ?? 'auditor')) {
    return (
      <>
        <PageHead title={strings.missing.title} />
        <Empty title={strings.missing.text}>
          <Link href="/">{strings.missing.back}</Link>
        </Empty>
      </>
    )
  }
  const { Page } = found.entry
  return <Page me={me} params={found.params} />
}

const Opening = () => (
  <Stack gap="md" aria-busy="true">
    <Skeleton h={36} w={220} />
    <Skeleton h={360} />
  </Stack>
)
