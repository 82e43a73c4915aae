// An act on the gateway: done, said, and what it changed read again.
// Must not ask first; parts/confirm does.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { strings } from '../strings.ts'
import { failed, worked } from './failure.tsx'

/**
 * @param touches first words of the query keys that the act makes old
 * @param done what to say when it worked; nothing when it answers undefined
 * @param undo how it is taken back, where it can be: offered beside what `done` says
 */
export function useAct<Input = void, Output = unknown>(
  run: (input: Input) => Promise<Output>,
  {
    touches,
    done,
    undo,
  }: {
    touches: readonly string[]
    done?: (output: Output, input: Input) => string | undefined
    undo?: (input: Input, output: Output) => Promise<unknown>
  },
) {
  const queries = useQueryClient()
  const readAgain = () => Promise.all(touches.map((key) => queries.invalidateQueries({ queryKey: [key] })))
  return useMutation({
    mutationFn: run,
    onSuccess: (output, input) => {
      const words = done?.(output, input)
      if (words === undefined) return
      if (undo === undefined) worked(words)
      else
        worked(words, () =>
          undo(input, output)
            .then(() => worked(strings.undo.undone), failed)
            .finally(readAgain),
        )
    },
    onError: failed,
    onSettled: readAgain,
  })
}
