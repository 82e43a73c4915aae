// Who is logged in, and so what is shown: the sign-in page or the shell with a page in it.
// Must not load what pages show.
import { Center, Loader } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { whenLoggedOut, whoAmI } from './api.ts'
import { type Live, openLive } from './live.ts'
import { Login } from './pages/login.tsx'
import { Overview } from './pages/overview.tsx'
import { Failure } from './parts/failure.tsx'
import { go, usePath } from './router.tsx'
import { Shell } from './shell.tsx'

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

  useEffect(() => {
    if (me.data === null && path !== '/login') go('/login', true)
    if (me.data && path === '/login') go('/', true)
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
    <Shell me={me.data} live={live}>
      <Overview me={me.data} />
    </Shell>
  )
}
