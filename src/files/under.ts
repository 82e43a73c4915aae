// Real paths as bytes: names need not be text.
// Must not look at the disk.

/** The path of what has these names below that folder. */
export const under = (folder: string | Uint8Array, ...names: readonly Uint8Array[]): Buffer =>
  Buffer.concat([typeof folder === 'string' ? Buffer.from(folder) : folder, ...names.flatMap((name) => [SLASH, name])])

const SLASH = Buffer.from('/')
