// An act on the gateway: done, said, and what it changed read again.
// Must not ask first; parts/confirm does.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { failed, worked } from './failure.tsx'

/**
 * @param touches first words of the query keys that the act makes old
 * @param done what to say when it worked; nothing when it answers undefined
 */
export function useAct<Input = void, Output = unknown>(
  run: (input: Input) => Promise<Output>,
  { touches, done }: { touches: readonly string[]; done?: (output: Output, input: Input) => string | undefined },
) {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: run,
    onSuccess: (output, input) => {
      const words = done?.(output, input)
      if (words !== undefined) worked(words)
    },
    onError: failed,
    onSettled: () => Promise.all(touches.map((key) => queries.invalidateQueries({ queryKey: [key] }))),
  })
}
