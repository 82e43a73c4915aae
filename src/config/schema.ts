// The configuration: every key with its type, default and meaning. config.example.yaml is made from it, a test compares them.
// Must not read files or the environment; load.ts does.
import Type, { type Static, type TSchema } from 'typebox'
import { oneOf } from '../core/schema.ts'

/** What a text stands for, beyond being a text: load.ts checks it, and turns durations into ms and paths into absolute ones. */
export type Holds = 'duration' | 'path' | 'host' | 'network' | 'pattern' | 'public-address' | 'port-range'

/** A timer of Node fires at once when it is set further ahead than this (2^31 ms). */
const LONGEST_TIMER = '24d'
/** A hundred years: further ahead a date is no longer a date. */
const LONGEST_SPAN = '36500d'

interface DurationRange {
  readonly least?: string
  readonly most?: string
}

/** Written `5s`, `10m`, `24h`, `400d` (a bare number is seconds); milliseconds once loaded. */
const Duration = (text: string, description: string, { least = '1ms', most = LONGEST_SPAN }: DurationRange = {}) =>
  Type.Unsafe<number>({ type: ['string', 'number'], holds: 'duration', least, most, default: text, description })
/** As {@link Duration}, for what a timer waits. */
const Wait = (text: string, description: string) => Duration(text, description, { most: LONGEST_TIMER })
const Port = (port: number, description: string) =>
  Type.Integer({ minimum: 0, maximum: 65535, default: port, description: `${description}; 0 picks a free port` })
const Flag = (value: boolean, description: string) => Type.Boolean({ default: value, description })
const Count = (value: number, description: string, minimum = 1) =>
  Type.Integer({ minimum, maximum: 1_000_000_000, default: value, description })
const Text = (holds: Holds, value: string, description: string) =>
  Type.String({ minLength: 1, maxLength: 4096, holds, default: value, description })
const PathOrNull = (description: string) =>
  Type.Union([Type.String({ minLength: 1, maxLength: 4096 }), Type.Null()], { holds: 'path', default: null, description })
const Texts = (holds: Holds, value: string[], description: string) =>
  Type.Array(Type.String({ minLength: 1, maxLength: 4096 }), { maxItems: 10_000, holds, default: value, description })
const Threads = (description: string) =>
  Type.Union([Type.Integer({ minimum: 1, maximum: 64 }), Type.Literal('auto')], { default: 'auto', description })

const section = <P extends Record<string, TSchema>>(description: string, properties: P) =>
  Type.Object(properties, { additionalProperties: false, default: {}, description })

export const ConfigSchema = Type.Object(
  {
    data_dir: Text('path', './data', 'database, keys, certificates, staging and spool; a relative path is relative to this file'),
    storage_root: Text(
      'path',
      './data/files',
      'user homes are folders below it, unless absolute; a relative path is relative to this file',
    ),
    ftp: section('the FTP and FTPS listener', {
      enabled: Flag(true, 'whether the service starts'),
      host: Text('host', '0.0.0.0', 'the address to listen on'),
      port: Port(2121, 'the control port'),
      passive: section('data connections', {
        ports: Text('port-range', '30000-30099', 'the range of data ports, first-last'),
        address: Text('public-address', 'auto', 'auto, or the public IPv4 address or host name behind NAT or Docker'),
        inside: Texts(
          'network',
          ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'],
          'clients that come from one of these networks to an address in the same one are told that address instead of a public one; []: nobody',
        ),
      }),
      active: Flag(false, "PORT and EPRT, only ever back to the client's own address"),
      tls: section('encryption of FTP', {
        mode: oneOf(['off', 'explicit', 'required'] as const, {
          default: 'explicit',
          description: 'off | explicit (AUTH TLS offered) | required (no login without it)',
        }),
        implicit_port: Type.Union([Type.Integer({ minimum: 0, maximum: 65535 }), Type.Null()], {
          default: null,
          description: 'also listen with TLS from the first byte (usually 990); null: no',
        }),
        min_version: oneOf(['TLSv1.2', 'TLSv1.3'] as const, {
          default: 'TLSv1.2',
          description: 'the oldest TLS version: TLSv1.2 | TLSv1.3',
        }),
        require_ssl_reuse: Flag(
          false,
          'a private data connection must resume the TLS session of its control connection; clients that cannot then transfer nothing',
        ),
        client_certificates: Flag(false, 'ask clients for a certificate: one that is listed on the user logs in without a password'),
        cert: PathOrNull('PEM certificate chain; null: a self-signed one is made under data_dir/keys'),
        key: PathOrNull('PEM private key of the certificate'),
      }),
    }),
    sftp: section('the SFTP and scp listener', {
      enabled: Flag(true, 'whether the service starts'),
      host: Text('host', '0.0.0.0', 'the address to listen on'),
      port: Port(2222, 'the SSH port'),
      host_keys: Texts('path', [], 'private host key files; empty: ed25519, ecdsa and rsa keys are made once under data_dir/keys'),
      banner: Type.Union([Type.String({ minLength: 1, maxLength: 4096 }), Type.Null()], {
        default: null,
        description: 'a text that clients show before the login, with line breaks; null: none',
      }),
      legacy: Flag(
        false,
        'also offer SHA-1 signatures, SHA-1 key exchange and CBC ciphers, last in each list: only for partners whose software is too old for anything else',
      ),
    }),
    admin: section('the admin page and HTTP API', {
      enabled: Flag(true, 'whether the service starts'),
      host: Text('host', '127.0.0.1', 'the address to listen on'),
      port: Port(8082, 'the HTTP port'),
      tls: section('HTTPS for the admin page', {
        cert: PathOrNull('PEM certificate chain; null: plain HTTP, meant for 127.0.0.1 or a proxy'),
        key: PathOrNull('PEM private key of the certificate'),
      }),
      trusted_proxies: Texts('network', [], 'addresses or networks whose X-Forwarded-For is believed'),
    }),
    forwarding: section('deliveries to destinations', {
      concurrency: Count(
        8,
        'deliveries at once, in all; a destination with nothing at work gets one beyond it, and up to 16 small files over SFTP count as one',
      ),
      per_destination: Count(4, 'deliveries at once to one destination'),
      retry: section('what a failed delivery does', {
        max_attempts: Count(20, 'attempts before a delivery is dead'),
        first_delay: Duration('5s', 'wait before the second attempt; it doubles with each further one'),
        max_delay: Duration('30m', 'the longest wait between attempts'),
        give_up_after: Duration('3d', 'a delivery older than this is dead'),
      }),
    }),
    uploads: section('files coming in', {
      durability: oneOf(['power', 'process'] as const, {
        default: 'power',
        description: 'what an acknowledged upload survives: power (loss of power) | process (its own crash only; faster)',
      }),
      partial_ttl: Duration('24h', 'how long an unfinished upload is kept for resuming'),
      settle: Duration('2s', 'how long a file in a watched folder must be quiet before it is taken', { least: '0s', most: LONGEST_TIMER }),
      exclude: Texts(
        'pattern',
        ['*.tmp', '*.part', '*.partial', '*.filepart', '*.crdownload', '.~*'],
        'names that no rule takes: temporary names of clients',
      ),
    }),
    limits: section('what strangers and partners may use up', {
      max_sessions: Count(500, 'sessions at once, in all'),
      max_sessions_per_user: Count(20, 'sessions at once of one user'),
      max_sessions_per_ip: Count(50, 'sessions at once from one address'),
      idle_timeout: Wait('10m', 'a session without a command or a transfer ends'),
      login_timeout: Wait('30s', 'a connection that does not log in ends'),
      transfer_stall_timeout: Wait('2m', 'a transfer that moves no byte ends'),
    }),
    defence: section('against password guessing', {
      max_failures: Count(8, 'failed logins of one address within the window before it is banned'),
      window: Duration('10m', 'the time in which failures count'),
      ban: Duration('15m', 'how long the first ban lasts'),
      ban_growth: Type.Number({ minimum: 1, maximum: 100, default: 2, description: 'each further ban is longer by this factor' }),
      ban_max: Duration('24h', 'the longest ban'),
      allow: Texts('network', [], 'addresses or networks that are never banned'),
      deny: Texts('network', [], 'addresses or networks that may never connect'),
    }),
    retention: section('how long records are kept', {
      transfers: Duration('400d', 'transfers and their deliveries'),
      audit: Duration('400d', 'the audit log'),
      logs: Duration('14d', 'log files'),
      receipts: Duration('400d', 'receipts'),
    }),
    log: section('logging', {
      level: oneOf(['debug', 'info', 'warn', 'error'] as const, { default: 'info', description: 'debug | info | warn | error' }),
      file: PathOrNull(
        'a file that log lines are written to besides stdout; lines also go to data_dir/logs, rotated by size and age, for the log pages',
      ),
    }),
    threads: section('worker threads', {
      ftp: Threads('threads of the FTP listener'),
      sftp: Threads('threads of the SFTP listener'),
    }),
  },
  { additionalProperties: false, default: {} },
)

/** Loaded: every key present, durations in milliseconds, paths absolute, frozen. */
export type Config = Static<typeof ConfigSchema>
