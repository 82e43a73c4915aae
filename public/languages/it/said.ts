// Italiano: ciò che il gateway dice in inglese oltre al codice dell'errore; {} sta per una parte variabile, che resta com'è, {+} per una che ha parole sue.
// Must not guess: a text that is not here is shown as it came, as what far servers say is.
import { FAULTS, VALIDATOR } from './faults.ts'

const SAID: readonly (readonly [english: string, italian: string])[] = [
  ['There is no user {}.', 'L’utente {} non esiste.'],
  ['There is no destination {}.', 'La destinazione {} non esiste.'],
  ['There is no rule {}.', 'La regola {} non esiste.'],
  ['There is no admin {}.', 'L’amministratore {} non esiste.'],
  ['There is no token {}.', 'Il token {} non esiste.'],
  ['There is no delivery {}.', 'La consegna {} non esiste.'],
  ['There is no transfer {}.', 'Il trasferimento {} non esiste.'],
  ['There is no live session {}.', 'Non c’è una sessione attiva {}.'],
  [
    'There is no removed {} {} that could be restored: they are kept for 30 minutes.',
    'Non c’è nulla di eliminato ({} {}) da ripristinare: si conserva per 30 minuti.',
  ],
  ['There is a user {} already.', 'Esiste già un utente {}.'],
  ['There is a destination {} already.', 'Esiste già una destinazione {}.'],
  ['There is a rule {} already.', 'Esiste già una regola {}.'],
  ['There is an admin {} already.', 'Esiste già un amministratore {}.'],
  ['There is a token {} already.', 'Esiste già un token {}.'],
  ['{} is not banned.', '{} non è escluso.'],
  ['Rules deliver to {}: {}.', 'Alcune regole consegnano a {}: {}.'],
  ['{} deliveries still wait for {}. Cancel them first.', '{} consegne attendono ancora {}. Prima annullale.'],
  ['User {} was changed in the meantime. Try again.', 'L’utente {} è stato cambiato nel frattempo. Riprova.'],
  ['This is the last admin with all rights.', 'È l’ultimo amministratore con tutti i diritti.'],
  ['This delivery is {} already.', 'Questa consegna è già terminata ({}).'],
  ['There is no receipt: the delivery is {}.', 'Non c’è ricevuta: la consegna non è conclusa ({}).'],
  [
    'The content of this file is not kept any more: it was delivered, cancelled or never whole.',
    'Il contenuto di questo file non è più conservato: è stato consegnato, annullato o mai intero.',
  ],
  [
    'A later version was delivered under that name ({}): sending this one would undo it.',
    'Una versione più recente è stata consegnata con quel nome ({}): inviare questa la annullerebbe.',
  ],
  [
    'Only a dead, cancelled or waiting delivery can be retried; this one is {}.',
    'Si ritenta solo una consegna fallita, annullata o in attesa; questa non lo è ({}).',
  ],
  ['A shadow rule recorded this one; it is never sent.', 'L’ha annotata una regola ombra; non viene mai inviata.'],
  ['The home of {} lies in it: its files would go, too.', 'La home di {} vi si trova dentro: sparirebbero anche i suoi file.'],
  ['The home of {} cannot be entered.', 'Nella home di {} non si può entrare.'],
  ['The password needs at least {} characters.', 'La password deve avere almeno {} caratteri.'],
  ['The present password is wrong.', 'La password attuale è errata.'],
  ['Too many wrong codes. Wait ten minutes.', 'Troppi codici errati. Attendi dieci minuti.'],
  [
    'Too many wrong passwords for this account from new addresses. Wait {}, or log in with a code of the second factor or from where you did before.',
    'Troppe password errate per questo account da indirizzi nuovi. Attendi {}, oppure accedi con un codice del secondo fattore o da dove l’hai già fatto.',
  ],
  ['Too many event streams are open.', 'Troppi flussi di eventi aperti.'],
  ['Too many requests: wait {}.', 'Troppe richieste: attendi {}.'],
  ['Too many passwords wait to be checked; try again in a moment.', 'Troppe password in attesa di controllo; riprova tra un momento.'],
  ['Other destinations are being tested. Wait a moment.', 'Altre destinazioni sono in prova. Attendi un momento.'],
  ['Another backup is being made.', 'Un altro backup è in corso.'],
  ['This needs the role {}; {} is {}.', 'Serve il ruolo {}; {} è {}.'],
  ['Downloads never fire a rule.', 'Gli scaricamenti non fanno scattare regole.'],
  [
    'The home of {} is also reached by {}: whose its files are cannot be counted.',
    'La home di {} è raggiunta anche da {}: non si può contare di chi siano i file.',
  ],
  ['Ask for a secret first.', 'Prima chiedi un segreto.'],
  ['There are {} tokens: remove those that nobody uses.', 'Ci sono {} token: togli quelli che nessuno usa.'],
  ['The passphrase needs at least {} characters.', 'La passphrase deve avere almeno {} caratteri.'],
  [
    'This needs a login by password; tokens and the console have no password of their own.',
    'Serve un accesso con password: i token e la console non ne hanno una.',
  ],
  ['Deliveries that are {} stay so; this is for {}.', 'Ciò che è {} resta così; questo vale per {}.'],
  ['The forwarder is not running.', 'Il servizio di inoltro non è in funzione.'],
  ['{} was stopped meanwhile.', '{} è stato fermato nel frattempo.'],
  ['{} did not get ready within {} s.', '{} non è stato pronto entro {} s.'],
  ['A thread of {} ended.', 'Un thread di {} è terminato.'],
  ['The client closed the data connection.', 'Il client ha chiuso la connessione dati.'],
  ['The data connection was cut.', 'La connessione dati è stata tagliata.'],
  ['The control connection was lost.', 'La connessione di controllo è caduta.'],
  ['The control connection was lost with the data connection.', 'La connessione di controllo è caduta con quella dati.'],
  ['The session ended.', 'La sessione è terminata.'],
  ['The session was idle for too long.', 'La sessione è rimasta inattiva troppo a lungo.'],
  ['ALLO said {} bytes, {} came.', 'ALLO annunciava {} byte, ne sono arrivati {}.'],
  ['The client closed its channel and left the file open.', 'Il client ha chiuso il canale lasciando il file aperto.'],
  ['The client took no data for too long.', 'Il client non ha preso dati per troppo tempo.'],
  [
    'A newer session of the same user goes on with this upload.',
    'Una sessione più recente dello stesso utente prosegue questo caricamento.',
  ],
  ['The file was removed during its upload.', 'Il file è stato tolto durante il caricamento.'],
  ['The file was cut short meanwhile.', 'Nel frattempo il file è stato accorciato.'],
  ['The TLS handshake of the data connection failed.', 'L’handshake TLS della connessione dati non è riuscito.'],
  ['The server tells no size.', 'Il server non dice la dimensione.'],
  [
    'The destination took the file too slowly: the attempt was broken off.',
    'La destinazione prendeva il file troppo lentamente: il tentativo è stato interrotto.',
  ],
  ['{} So do all names like it.', 'E così tutti i nomi simili.'],
  [
    'The server says that it gave the file its name, but the temporary name is still there.',
    'Il server dice di aver dato il nome al file, ma il nome provvisorio è ancora lì.',
  ],
  ['The listing at the destination names the file more than once.', 'L’elenco della destinazione nomina il file più volte.'],
  ['{}: shows no host key of a kind that is safe today', '{}: non mostra una chiave host di un tipo oggi sicuro'],
  [
    'The login begins in no absolute path ({}): the destination needs a base_path.',
    'L’accesso non comincia da un percorso assoluto ({}): la destinazione ha bisogno di base_path.',
  ],
  ['No gateway runs: the configuration is read at its start.', 'Nessun gateway è in funzione: la configurazione si legge al suo avvio.'],
  ['{} cannot start: {+}', '{} non può partire: {+}'],
  ['The folder at the destination has no plain name: {}', 'La cartella della destinazione non ha un nome semplice: {}'],
  ['The server gives only a few bytes at a time.', 'Il server dà solo pochi byte per volta.'],
  ['The server takes only {} bytes at a time.', 'Il server prende solo {} byte per volta.'],
  ['The forwarder stopped.', 'Il servizio di inoltro si è fermato.'],
  [
    'code: is not the one of this moment; check the clock of the phone',
    'Il codice non è quello di questo momento: controlla l’ora del telefono.',
  ],
  ['The far side has another {}.', 'Dall’altra parte è diverso: {}.'],
  ['The far side has {} bytes of {}.', 'L’altra parte ha {} byte su {}.'],
  ['What the far side sends back is not what was sent.', 'Ciò che l’altra parte rimanda non è ciò che fu inviato.'],
  ['The far side sends back more than was sent.', 'L’altra parte rimanda più di quanto fu inviato.'],
  ['The far side does not show the file that was sent.', 'L’altra parte non mostra il file inviato.'],
  [
    'The server says that it gave the file its name, but the temporary name is still there.',
    'Il server dice di aver dato il nome al file, ma il nome temporaneo c’è ancora.',
  ],
  ['{}the server shows the host key {}, on record is {}', '{}il server mostra la chiave host {}, quella registrata è {}'],
  ['No answer within {} s.', 'Nessuna risposta entro {} s.'],
  ['{}: the name cannot be resolved', '{}: il nome non si risolve'],
  ['The folder at the destination is gone; it is made again.', 'La cartella nella destinazione è sparita; viene ricreata.'],
  ['The test was broken off.', 'La prova è stata interrotta.'],
  // steps of a test that worked
  ['this machine', 'questa macchina'],
  ['connected', 'collegato'],
  ['logged in', 'accesso riuscito'],
  ['{} bytes in {}', '{} byte in {}'],
  ['{}, renamed', '{}, rinominato'],
  ['removed', 'tolto'],
  ['A link leads out of the destination folder.', 'Un collegamento porta fuori dalla cartella della destinazione.'],
]

/** The English texts, for the test that the gateway says them. */
export const KNOWN: readonly string[] = [...SAID, ...FAULTS].map(([english]) => english)

/** A part that stays, or one to be said in turn. */
const PART = /\{\+?\}/g

const PATTERNS = [...SAID, ...FAULTS, ...VALIDATOR].map(([english, italian]) => {
  const parts = english.split(PART).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return { pattern: new RegExp(`^${parts.join('([\\s\\S]+?)')}$`), italian }
})

/** In Italian, or as it came. */
export function said(text: string): string {
  for (const { pattern, italian } of PATTERNS) {
    const found = pattern.exec(text)
    if (!found) continue
    let [at, known] = [0, true]
    const words = italian.replace(PART, (part) => {
      const [is, say] = [found[++at] ?? '', part === '{+}' ? said(found[at] ?? '') : null]
      if (say === is) known = false
      return say ?? is
    })
    // half a translation of what a far server says would be worse than none
    if (known) return words
  }
  return text
}
