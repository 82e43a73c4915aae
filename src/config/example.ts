// config.example.yaml, made from the schema: every key with its meaning and its default.
// Must not be edited by hand in its result: node -e "import('./src/config/example.ts').then((m) => process.stdout.write(m.renderExample()))" > config.example.yaml
import { stringify } from 'yaml'
import { type KeySchema, ROOT_SCHEMA } from './keys.ts'

const HEAD = `# FileFlow's configuration: every key with its meaning and its default. Copy it to config.yaml and keep what you change.
# Any key can be set from the environment too, as FILEFLOW_SECTION_KEY: FILEFLOW_SFTP_PORT=22, FILEFLOW_FTP_PASSIVE_ADDRESS=…
# Durations are written 5s, 10m, 24h, 400d; relative paths are seen from the folder of this file; lists in variables take commas.
`

/** The whole file. */
export const renderExample = (): string => `${HEAD}\n${render(ROOT_SCHEMA, 0).join('\n')}\n`

function render(schema: KeySchema, depth: number): string[] {
  const indent = '  '.repeat(depth)
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => {
    const comment = `${indent}# ${meaning(inner)}`
    if (!inner.properties) return [comment, `${indent}${key}: ${text(inner.default)}`]
    const section = [comment, `${indent}${key}:`, ...render(inner, depth + 1)]
    return depth === 0 ? ['', ...section] : section
  })
}

function meaning(schema: KeySchema): string {
  const range = schema.anyOf?.find((one) => one.minimum !== undefined)
  return range && schema.default === 'auto' ? `${schema.description}: auto, or ${range.minimum} to ${range.maximum}` : schema.description!
}

const text = (value: unknown): string => stringify(value, { collectionStyle: 'flow', flowCollectionPadding: false, lineWidth: 0 }).trimEnd()
