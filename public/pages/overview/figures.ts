// The figures that several parts of the overview show, read once.
// Must not be asked for by the clock: the event stream brings them every few seconds.
import { useQuery } from '@tanstack/react-query'
import type { Page, ServiceView, StatsView } from '../../../src/core/views.ts'
import { api } from '../../api.ts'

export const useStats = () => useQuery({ queryKey: ['stats'], queryFn: () => api<StatsView>('GET', '/stats') })

export const useServices = () => useQuery({ queryKey: ['services'], queryFn: () => api<Page<ServiceView>>('GET', '/services') })
