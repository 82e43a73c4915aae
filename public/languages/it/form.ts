// Italiano: i moduli, e ciò che le pagine di impostazione condividono.
// Must not hold markup or logic beyond plurals.
import type { Strings } from '../en/index.ts'

export const form = {
  removed: {
    title: 'Eliminati da poco',
    by: 'da',
    until: 'si può ripristinare fino alle',
    restore: 'Ripristina',
    restoreOf: (name: string) => `Ripristina ${name}`,
    restored: (name: string) => `${name} è di nuovo com’era.`,
  },
  form: {
    unsaved: 'Ci sono modifiche non salvate.',
    discard: 'Annulla le modifiche',
    save: 'Salva',
    create: 'Crea',
    saved: (name: string) => `${name}: salvato.`,
    created: (name: string) => `${name}: creato.`,
    removed: (name: string) => `${name}: eliminato.`,
    removeLine: (label: string, n: number) => `Togli ${label} ${n}`,
    readOnly: 'Il tuo ruolo può guardare, ma non modificare.',
    optional: 'facoltativo',
    typeName: (name: string) => `Scrivi ${name} per confermare`,
    enabled: 'Attivo',
    disabled: 'Disattivato',
    enable: 'Attiva',
    disable: 'Disattiva',
    remove: 'Elimina',
    close: 'Chiudi',
    never: 'mai',
    name: 'Nome',
    nameRule: 'Lettere, cifre e . _ @ + -, al massimo 64. Non si può cambiare dopo.',
    unlimited: 'senza limite',
    sizeRule: 'Per esempio 500MiB o 10GiB',
    state: 'Stato',
    notThere: 'Non esiste (più).',
    switchedOn: (name: string) => `${name} è attivo.`,
    switchedOff: (name: string) => `${name} è disattivato.`,
    once: 'Si vede solo questa volta: copialo ora.',
  },
} satisfies Partial<Strings>
