// Italiano: che cosa non va in ciò che si è scritto in un modulo, come lo dice il gateway; {} è una parte che resta com'è, {+} una che ha parole sue.
// Must not guess, nor translate names of keys: they are those of state files and the API.

/** Of `src/core/schema`: where it is, and what is allowed there. */
const PLACES: readonly (readonly [english: string, italian: string])[] = [
  ['{+} (it is {})', '{+} (ora è {})'],
  ['body: {}: {+}', '{}: {+}'],
  ['body: {+}', '{+}'],
  ['user {}: {+}', 'utente {}: {+}'],
  ['destination {}: {+}', 'destinazione {}: {+}'],
  ['rule {}: {+}', 'regola {}: {+}'],
  ['public key: {+}', 'chiave pubblica: {+}'],
  ['allowed: {}', 'ammessi: {}'],
  ['a number from {} to {}', 'un numero da {} a {}'],
  ['is missing', 'manca'],
  ['unknown key; known here: {}', 'chiave sconosciuta; qui si conoscono: {}'],
]

/** What the schemas of users, destinations and rules say of their fields. */
const FIELDS: readonly (readonly [english: string, italian: string])[] = [
  ['bytes: a number, or with a unit (10GiB)', 'byte: un numero, o con un’unità (10GiB)'],
  ['letters, digits and . _ @ + -, at most 64', 'lettere, cifre e . _ @ + -, al massimo 64'],
  ['a virtual path, beginning with /', 'un percorso virtuale, che comincia con /'],
  ['a line of an OpenSSH authorized_keys file', 'una riga di un file authorized_keys di OpenSSH'],
  [
    'the SHA-256 fingerprint of a TLS client certificate that logs in over FTPS, as openssl x509 -fingerprint -sha256 prints it',
    'l’impronta SHA-256 di un certificato client TLS che accede via FTPS, come la stampa openssl x509 -fingerprint -sha256',
  ],
  [
    'what a login over SSH needs: any (default) | password | key | key+password; `protocols` says who may use FTP',
    'che cosa serve per accedere via SSH: any (predefinito) | password | key | key+password; `protocols` dice chi può usare FTP',
  ],
  ['relative to storage_root, or absolute; default: the username', 'relativo a storage_root, o assoluto; di base: il nome utente'],
  ['some of: sftp, ftp', 'alcuni tra: sftp, ftp'],
  ['FTP only over TLS; default true', 'FTP solo con TLS; di base true'],
  ['longest matching path wins', 'vale il percorso più lungo che corrisponde'],
  ['an absolute path on the server', 'un percorso assoluto sul server'],
  ['an address or a network (203.0.113.0/24)', 'un indirizzo o una rete (203.0.113.0/24)'],
  ['a date (2027-12-31: to its end, UTC) or an ISO time', 'una data (2027-12-31: fino alla sua fine, UTC) o un orario ISO'],
  ['a password of 1 to 1024 characters', 'una password da 1 a 1024 caratteri'],
  ['a password of 8 to 1024 characters', 'una password da 8 a 1024 caratteri'],
  ['an argon2id hash as `export` prints it', 'un hash argon2id come lo stampa `export`'],
  [
    'a fingerprint as ssh-keygen -l prints it: SHA256:…; or insecure alone',
    'un’impronta come la stampa ssh-keygen -l: SHA256:…; o solo insecure',
  ],
  ['a list of SHA256:… fingerprints, or the word insecure', 'un elenco di impronte SHA256:…, o la parola insecure'],
  ['PEM text', 'testo PEM'],
  ['the SHA-256 fingerprint of the certificate, in hex', 'l’impronta SHA-256 del certificato, in esadecimale'],
  ['a template for one name, without /', 'un modello per un solo nome, senza /'],
  ['a PEM or OpenSSH private key', 'una chiave privata PEM o OpenSSH'],
  ['usernames; absent or empty means every user', 'nomi utente; assente o vuoto vuol dire ogni utente'],
  ['a pattern: * is one level, ** any depth', 'un modello: * è un livello, ** qualsiasi profondità'],
  [
    'an absolute folder on the server: files dropped there are sent; path is seen from it',
    'una cartella assoluta sul server: i file che vi si mettono sono inviati; path si intende da lì',
  ],
  [
    'what of the files that lay in the watched folder before it was watched; absent: they wait for this word',
    'che cosa fare dei file che erano nella cartella prima che fosse osservata; assente: attendono questa parola',
  ],
  ['shadow records what it would send and sends nothing', 'shadow annota ciò che invierebbe e non invia nulla'],
  [
    'the same content by the same user under the same name is sent once within this time, as in 24h',
    'lo stesso contenuto dello stesso utente con lo stesso nome è inviato una volta sola in questo tempo, come 24h',
  ],
  ['six digits of the authenticator, or a recovery code', 'sei cifre dell’app di autenticazione, o un codice di recupero'],
]

/** What the schemas alone cannot say. */
const CHECKS: readonly (readonly [english: string, italian: string])[] = [
  ['{}: not a size', '{}: non è una dimensione'],
  ['expires_at: not a date', 'expires_at: non è una data'],
  ['expires_at: is over already', 'expires_at: è già passata'],
  [
    '{}: {} holds or is held by data_dir, where the gateway keeps its keys',
    '{}: {} contiene data_dir o vi sta dentro: lì il gateway tiene le sue chiavi',
  ],
  [
    'home: it leaves storage_root; give an absolute path if you mean that',
    'home: esce da storage_root; se è voluto, scrivi un percorso assoluto',
  ],
  ['home: it is storage_root itself, which holds the homes of others', 'home: è storage_root stesso, che contiene le home degli altri'],
  ['home or directories: {+}', 'home o cartelle: {+}'],
  ['it cannot be made', 'non si può creare'],
  ['allowed_ips: {} is no address or network', 'allowed_ips: {} non è un indirizzo né una rete'],
  ['mounts: / is the home itself', 'mounts: / è la home stessa'],
  ['mounts: {} lies in the way of another one', 'mounts: {} è d’intralcio a un altro'],
  [
    'it begins with {}; known are {} (options before the key are not taken)',
    'comincia con {}; si conoscono {} (non si accettano opzioni prima della chiave)',
  ],
  ['the text after the type is not base64', 'il testo dopo il tipo non è base64'],
  ['it cannot be read', 'non si legge'],
  ['it says {} but holds {}', 'dice {} ma contiene {}'],
  ['an RSA key needs at least {} bits', 'una chiave RSA deve avere almeno {} bit'],
  ['base_path is missing: the folder to deliver to', 'manca base_path: la cartella in cui consegnare'],
  ['host is missing', 'manca host'],
  ['username is missing', 'manca username'],
  [
    'host_keys is missing: the SHA256:… fingerprint of the server (ssh-keyscan HOST | ssh-keygen -lf -), or the word insecure',
    'manca host_keys: l’impronta SHA256:… del server (ssh-keyscan HOST | ssh-keygen -lf -), o la parola insecure',
  ],
  ['host_keys: insecure accepts any key, so it stands alone', 'host_keys: insecure accetta qualunque chiave, perciò sta da solo'],
  [
    'tls.ca: PEM text is wanted, from -----BEGIN CERTIFICATE----- on (a state file may name a file)',
    'tls.ca: serve un testo PEM, da -----BEGIN CERTIFICATE----- in poi (un file di stato può nominare un file)',
  ],
  ['private_key is for sftp only', 'private_key vale solo per sftp'],
  ['dedupe is a time from 1s to 400d, as in 24h', 'dedupe è un tempo da 1s a 400d, come 24h'],
  ['source.path begins with /', 'source.path comincia con /'],
  ['source.baseline is for watched folders: it needs source.watch', 'source.baseline vale per cartelle osservate: serve source.watch'],
  ['a watched folder has no users: leave source.users out', 'una cartella osservata non ha utenti: togli source.users'],
  ['source.watch: the whole machine cannot be watched', 'source.watch: non si può osservare tutta la macchina'],
  ['a watched folder has no {}', 'una cartella osservata non ha {}'],
  [
    "source.watch: {} and the gateway's own data_dir must not lie in each other",
    'source.watch: {} e la data_dir del gateway non devono stare l’una nell’altra',
  ],
  [
    'source.watch: destination {} lies in {}: what is delivered would be taken in again',
    'source.watch: la destinazione {} sta in {}: ciò che è consegnato sarebbe ripreso',
  ],
  ['there is no destination {}', 'la destinazione {} non esiste'],
  ['unknown word {}; known: {}', 'parola sconosciuta {}; si conoscono: {}'],
  ['{counter:N} takes 1 to 9 digits', '{counter:N} vuole da 1 a 9 cifre'],
  ['{}: the format after : is missing', '{}: manca il formato dopo i due punti'],
  ['{} takes no format', '{} non vuole formato'],
  ['it ends with /: name the file, too, as in /incoming/{filename}', 'finisce con /: nomina anche il file, come in /incoming/{filename}'],
  ['a { or } without its partner', 'una { o } senza la compagna'],
  ['{}: it leaves the base path; .. is no part of a remote name', '{}: esce dalla cartella di base; .. non fa parte di un nome remoto'],
  [
    'the remote name is empty, holds a line break, or leaves the base path',
    'il nome remoto è vuoto, contiene un a capo o esce dalla cartella di base',
  ],
  ['the temporary name is not a plain name', 'il nome provvisorio non è un nome semplice'],
  ['pattern {}: too many alternatives', 'modello {}: troppe alternative'],
  ['pattern {}: a { without its }', 'modello {}: una { senza la sua }'],
  ['pattern {}: a [ without its ]', 'modello {}: una [ senza la sua ]'],
  ['The name is too long.', 'Il nome è troppo lungo.'],
  ['The path is too long.', 'Il percorso è troppo lungo.'],
  ['This name is reserved.', 'Questo nome è riservato.'],
  ['names: each of the {} rules once', 'names: ognuna delle {} regole una volta'],
  ['cursor: the `next` of the answer before', 'cursor: il `next` della risposta precedente'],
  ['{} {} is declared twice', '{} {} è dichiarato due volte'],
  [
    'secrets: are sealed; the command `fileflow apply` opens them with their passphrase',
    'secrets: sono sigillati; li apre il comando `fileflow apply` con la loro passphrase',
  ],
  ['secrets: cannot be read; they were sealed by another version', 'secrets: non si leggono; li ha sigillati un’altra versione'],
  [
    'secrets: the passphrase is not the one they were sealed with, or they were changed',
    'secrets: la passphrase non è quella con cui furono sigillati, o sono stati cambiati',
  ],
  ['unknown word {}', 'parola sconosciuta {}'],
  ['confirm: must be the name of the user', 'confirm: deve essere il nome dell’utente'],
  ['address: an IP address', 'address: un indirizzo IP'],
  ['{}: an ISO 8601 time, or milliseconds since 1970', '{}: un orario ISO 8601, o i millisecondi dal 1970'],
]

/** Of the validator itself, where a schema has no words of its own. */
export const VALIDATOR: readonly (readonly [english: string, italian: string])[] = [
  ['must not have fewer than {} characters', 'deve avere almeno {} caratteri'],
  ['must not have more than {} characters', 'deve avere al massimo {} caratteri'],
  ['must not have fewer than {} items', 'deve avere almeno {} elementi'],
  ['must not have more than {} items', 'deve avere al massimo {} elementi'],
  ['must not have duplicate items', 'non deve avere doppioni'],
  ['must match pattern {}', 'deve corrispondere al modello {}'],
  ['must be string', 'deve essere un testo'],
  ['must be integer', 'deve essere un numero intero'],
  ['must be number', 'deve essere un numero'],
  ['must be boolean', 'deve essere true o false'],
  ['must be object', 'deve essere un oggetto'],
  ['must be array', 'deve essere un elenco'],
]

export const FAULTS = [...PLACES, ...FIELDS, ...CHECKS]
