// The start of the admin page: theme, queries, and the app.
// Must not hold pages.
import '@mantine/core/styles.css'
import '@mantine/notifications/styles.css'
import './page.css'
import './styles/lists.css'
import { createTheme, MantineProvider } from '@mantine/core'
import { Notifications } from '@mantine/notifications'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { ApiError } from './api.ts'
import { App } from './app.tsx'
import { Boundary } from './parts/boundary.tsx'

/** The head of a dialog is no banner of the page. */
const PLAIN_HEADER = { attributes: { header: { role: 'presentation' } } }

const theme = createTheme({
  primaryColor: 'blue',
  primaryShade: { light: 8, dark: 8 },
  defaultRadius: 'md',
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
  headings: { fontWeight: '650' },
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: { Modal: { defaultProps: PLAIN_HEADER }, Drawer: { defaultProps: PLAIN_HEADER } },
})

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
