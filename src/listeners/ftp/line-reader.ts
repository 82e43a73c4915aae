// Bytes of a control connection → command lines: split and joined segments, a length cap, Telnet sequences taken out.
// Must not interpret a command, nor hold more than one segment and one line.

/** RFC 959 names no limit; 4 KiB holds the longest path (PATH_MAX) in a command. */
const LONGEST_LINE = 4096 + 64
const LF = 10
const CR = 13
const IAC = 255

/** A line without its end, or the mark of one that was too long and thrown away. */
export type Line = { readonly tooLong: false; readonly bytes: Buffer } | { readonly tooLong: true }

export class LineReader {
  #rest: Buffer = Buffer.alloc(0)
  #skipping = false

  /** Bytes that have come but are no line yet, or lines not yet taken. */
  get pending(): number {
    return this.#rest.length
  }

  /** The caller takes all lines before it pushes again, or stops reading: that is what bounds the memory. */
  push(segment: Buffer): void {
    this.#rest = this.#rest.length === 0 ? segment : Buffer.concat([this.#rest, segment])
  }

  /** The next whole line; CRLF or a bare LF ends it. */
  next(): Line | undefined {
    const end = this.#rest.indexOf(LF)
    if (end === -1) {
      if (this.#rest.length > LONGEST_LINE) {
        this.#skipping = true
        this.#rest = Buffer.alloc(0)
      }
      return undefined
    }
    const taken = this.#rest.subarray(0, end)
    this.#rest = this.#rest.subarray(end + 1)
    if (this.#skipping || taken.length > LONGEST_LINE) {
      this.#skipping = false
      return { tooLong: true }
    }
    const bytes = withoutTelnet(taken)
    return { tooLong: false, bytes: bytes.at(-1) === CR ? bytes.subarray(0, -1) : bytes }
  }
}

/**
 * RFC 854: IAC IAC is the byte 255. Commands of Telnet stand before a command of FTP only: IAC with DO, DONT, WILL, WONT takes an option byte, others stand alone.
 * Clients send IAC IP IAC DM before ABOR, the DM as urgent data, which the kernel takes out of the stream: so an IAC is dropped there alone, too. Further on it is
 * a byte of a name, from one of the many clients that know no Telnet and no UTF-8.
 */
function withoutTelnet(line: Buffer): Buffer {
  if (!line.includes(IAC)) return line
  const out: number[] = []
  for (let i = 0; i < line.length; i++) {
    const byte = line[i]!
    const next = line[i + 1]
    if (byte !== IAC) out.push(byte)
    else if (next === IAC) {
      out.push(IAC)
      i++
    } else if (out.length > 0) out.push(IAC)
    else if (next !== undefined && next >= 240) i += next >= 251 && next <= 254 ? 2 : 1
  }
  return Buffer.from(out)
}
