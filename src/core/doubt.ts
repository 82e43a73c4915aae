// How long an upload whose end is only likely is doubted, for the listener that finds out and for the deliveries that wait.
// Must not import anything: workers load it.

/** ms; after a likely upload, a live session that is silent this long is believed: a killed client's control connection is seen to end within milliseconds. */
export const QUIET_MS = 250
/** ms; a session that ended in that time is given so much to be told from a dead one, by the reset that comes a round trip later: longer than one to any partner. */
export const RESET_MS = 1000
