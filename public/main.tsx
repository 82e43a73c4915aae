// The start of the admin page: theme, queries, and the app.
// Must not hold pages.
import '@mantine/core/styles.css'
import '@mantine/notifications/styles.css'
import './page.css'
import './styles/lists.css'
import { MantineProvider } from '@mantine/core'
import { Notifications } from '@mantine/notifications'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { ApiError } from './api.ts'
import { App } from './app.tsx'
import { Boundary } from './parts/boundary.tsx'
import { theme } from './theme.tsx'

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // Events say when something is old; nothing is asked for by the clock.
      staleTime: 5_000,
      refetchOnWindowFocus: true,
      retry: (failures, error) => failures < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
    },
  },
})

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto">
      <Notifications position="bottom-right" />
      <QueryClientProvider client={queries}>
        <Boundary>
          <App />
        </Boundary>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
)
