// Which language the page speaks: the one chosen here before, else the browser's first that there is.
// Must not hold words.

/** Each in its own name, as people look for it. */
export const LANGUAGES = { en: 'English', it: 'Italiano' } as const
export type Language = keyof typeof LANGUAGES

const KEY = 'fileflow-language'

function remembered(): string | null {
  try {
    return localStorage.getItem(KEY)
  } catch {
    return null // storage is blocked: the browser's language it is
  }
}

const known = (tag: string | null): Language | undefined =>
  tag === null ? undefined : (Object.keys(LANGUAGES) as Language[]).find((code) => code === tag.slice(0, 2).toLowerCase())

export const language: Language = known(remembered()) ?? navigator.languages.map(known).find((code) => code !== undefined) ?? 'en'

/** For dates and numbers: the browser's own variant of the language, such as en-GB. */
export const locale: string = navigator.languages.find((tag) => known(tag) === language) ?? language

/** Words are read once at the start, so the page starts anew; the address, and with it the page and its filters, stays. */
export function speak(code: Language): void {
  try {
    localStorage.setItem(KEY, code)
  } catch {
    return // nothing would remember it
  }
  location.reload()
}
