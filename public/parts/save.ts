// Saving a form: like an act, but what was refused stays at the form instead of passing by.
// Must not ask first.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { worked } from './failure.tsx'

export interface Save {
  readonly busy: boolean
  readonly error: unknown
  run(): void
  forget(): void
}

/**
 * @param touches first words of the query keys that it makes old
 * @param done what to say when it worked
 */
export function useSave<Output>(
  send: () => Promise<Output>,
  { touches, done }: { touches: readonly string[]; done: (output: Output) => string | undefined },
): Save {
  const queries = useQueryClient()
  const mutation = useMutation({
    mutationFn: send,
    onSuccess: (output) => {
      const words = done(output)
      if (words !== undefined) worked(words)
      return Promise.all(touches.map((key) => queries.invalidateQueries({ queryKey: [key] })))
    },
  })
  return {
    busy: mutation.isPending,
    error: mutation.error,
    run: () => mutation.mutate(),
    forget: () => mutation.reset(),
  }
}
