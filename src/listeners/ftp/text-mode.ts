// TYPE A (RFC 959 §3.1.1.1): lines end in CRLF on the wire and in LF on disk. Stateful over chunk borders.
// Must not touch a socket or a file.
const CR = 13
const LF = 10

export interface TextConverter {
  convert(chunk: Uint8Array): Buffer
  /** What a last chunk left behind. */
  flush(): Buffer
}

/** For sending: LF becomes CRLF; a CRLF that is there stays one. */
export function toWireText(): TextConverter {
  let previous = 0
  return {
    convert(chunk) {
      const out = Buffer.allocUnsafe(chunk.length * 2)
      let length = 0
      for (const byte of chunk) {
        if (byte === LF && previous !== CR) out[length++] = CR
        out[length++] = byte
        previous = byte
      }
      return out.subarray(0, length)
    },
    flush: () => Buffer.alloc(0),
  }
}

/** For receiving: CRLF becomes LF; a lone CR stays. */
export function fromWireText(): TextConverter {
  let heldCr = false
  return {
    convert(chunk) {
      const out = Buffer.allocUnsafe(chunk.length + 1)
      let length = 0
      for (const byte of chunk) {
        if (heldCr && byte !== LF) out[length++] = CR
        heldCr = byte === CR
        if (!heldCr) out[length++] = byte
      }
      return out.subarray(0, length)
    },
    flush() {
      const rest = heldCr ? Buffer.from([CR]) : Buffer.alloc(0)
      heldCr = false
      return rest
    },
  }
}
