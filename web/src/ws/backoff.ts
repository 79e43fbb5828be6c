/** How long to wait before the next try: doubling, capped, with a spread so that a hall full of phones does not knock at once. */

const FIRST_MS = 500;
// Past this a person has reloaded the page already.
const LONGEST_MS = 8000;

export type Wait = { base_ms: number; spread_ms: number };

/** The wait before try number `attempt` (1 is the first retry). The shell adds a random part of `spread_ms`. */
export function backoff(attempt: number): Wait {
  const base_ms = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.max(0, attempt - 1));
  return { base_ms, spread_ms: base_ms / 2 };
}
