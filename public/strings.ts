// The words of the chosen language, complete before any page is read.
// Must not hold words; public/languages does.

import { language } from './language.ts'
import { en, type Strings } from './languages/en/index.ts'

document.documentElement.lang = language

export const strings: Strings = language === 'it' ? (await import('./languages/it/index.ts')).it : en
