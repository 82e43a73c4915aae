// A button that copies a text.
// Must not show the text; what stands beside it does.
import { ActionIcon, Button, Tooltip } from '@mantine/core'
import { Check, Copy as CopyIcon } from 'lucide-react'
import { useEffect, useState } from 'react'
import { strings } from '../strings.ts'
import { failed } from './failure.tsx'

const AGAIN_MS = 2000

/**
 * @param what names it for screen readers: "the fingerprint"
 * @param verb shown on the button, for what is copied as a whole; otherwise it is an icon beside the text
 */
export function Copy({ text, what, verb }: { text: string; what: string; verb?: string }) {
  const [copied, setCopied] = useState(false)
  useEffect(() => {
    if (!copied) return
    const timer = setTimeout(() => setCopied(false), AGAIN_MS)
    return () => clearTimeout(timer)
  }, [copied])
  const copy = async () => {
    if (await toClipboard(text)) setCopied(true)
    else failed(new Error(strings.copy.failed))
  }
  const Icon = copied ? Check : CopyIcon
  const label = copied ? strings.copy.copied : strings.copy.copy(what)
  if (verb !== undefined)
    return (
      <Button size="xs" variant="default" leftSection={<Icon size={14} aria-hidden="true" />} onClick={() => void copy()}>
        {copied ? strings.copy.copied : verb}
      </Button>
    )
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color="gray" size="sm" aria-label={label} onClick={() => void copy()}>
        <Icon size={14} aria-hidden="true" />
      </ActionIcon>
    </Tooltip>
  )
}

/** Plain HTTP away from localhost has no clipboard API; there the old way is the only one. */
async function toClipboard(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = document.createElement('textarea')
    area.value = text
    area.style.position = 'fixed'
    document.body.append(area)
    area.select()
    const done = document.execCommand('copy')
    area.remove()
    return done
  }
}
