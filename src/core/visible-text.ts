// Text of strangers where people read it: what would steer a terminal, break a line or turn text round becomes a visible escape.
// Must not be used on what is compared or stored as a name.

/** C0, DEL, C1, the marks of direction, the line separators and the byte order mark. */
const STEERING = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

/** `\u001b` for an escape, and so on. */
export const visible = (text: string): string => text.replace(STEERING, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
