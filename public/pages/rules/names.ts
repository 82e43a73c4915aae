// The names of users and destinations, to choose from in a rule.
// Must not show more of them.
import { useQuery } from '@tanstack/react-query'
import type { DestinationView, Page, UserView } from '../../../src/core/views.ts'
import { api } from '../../api.ts'

/** The first thousand of each; others can be typed. */
export function useNames(): { readonly users: readonly string[]; readonly destinations: readonly string[] } {
  const users = useQuery({ queryKey: ['users', 'names'], queryFn: () => api<Page<UserView>>('GET', '/users?limit=1000') })
  const destinations = useQuery({
    queryKey: ['destinations', 'names'],
    queryFn: () => api<Page<DestinationView>>('GET', '/destinations?limit=1000'),
  })
  return {
    users: users.data?.items.map(({ username }) => username) ?? [],
    destinations: destinations.data?.items.map(({ name }) => name) ?? [],
  }
}
