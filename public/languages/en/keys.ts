// English: the configuration's schema explains its keys itself.
// Must not hold anything: what stands here would only repeat it.
export const keys = { keys: {} as Record<string, string> }
