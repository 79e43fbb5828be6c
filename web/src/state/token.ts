/** What a page reads from its own link. The server alone decides: this only chooses what to show. */

export type Claims = {
  meeting: string;
  role: string;
  name: string;
  languages: string[];
};
export type LinkProblem = 'missing' | 'unreadable' | 'other_meeting' | 'other_role';
export type Link = { ok: true; token: string; claims: Claims } | { ok: false; problem: LinkProblem };

function payload(token: string): Record<string, unknown> | null {
  const part = token.split('.')[1];
  if (part === undefined) return null;
  try {
    const binary = atob(part.replaceAll('-', '+').replaceAll('_', '/'));
    const bytes = Uint8Array.from(binary, (c) => c.codePointAt(0) ?? 0);
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null; // not base64url or not JSON: one and the same to the reader
  }
}

/**
 * Reads the token in `hash` (with or without "#") for the page of `meeting`.
 * `roles` are those the page is made for; an empty list lets everybody in. Whether its time is over the
 * server says: a phone's clock may be hours off.
 */
export function readLink(hash: string, meeting: string, roles: readonly string[]): Link {
  const token = hash.replace(/^#/, '');
  if (token === '') return { ok: false, problem: 'missing' };
  const raw = payload(token);
  if (raw === null || typeof raw.meeting !== 'string' || typeof raw.role !== 'string') {
    return { ok: false, problem: 'unreadable' };
  }
  const claims: Claims = {
    meeting: raw.meeting,
    role: raw.role,
    name: typeof raw.name === 'string' ? raw.name : '',
    languages: Array.isArray(raw.languages)
      ? raw.languages.filter((l): l is string => typeof l === 'string')
      : [],
  };
  if (claims.meeting !== meeting) return { ok: false, problem: 'other_meeting' };
  if (roles.length > 0 && !roles.includes(claims.role)) return { ok: false, problem: 'other_role' };
  return { ok: true, token, claims };
}

/** "/attend/demo" → "demo". */
export function meetingOfPath(path: string): string {
  const raw = path.split('/')[2] ?? '';
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw; // a stray % is no reason for a blank page
  }
}
