/** Why somebody is not, or no longer, in the meeting, and what they can do about it. */

import type { LinkProblem } from './token.ts';

export type Problem =
  | LinkProblem
  | 'expired'
  | 'revoked'
  | 'forbidden'
  | 'unknown_meeting'
  | 'replaced'
  | 'other';
/** `ask`: only a new link helps. `again`: another try may. `listen`: the link is good for the listener's page. */
export type Remedy = 'ask' | 'again' | 'listen' | 'none';

const ENDINGS: Readonly<Record<string, Problem>> = {
  'session.replaced': 'replaced',
  'token.expired': 'expired',
  // The page has read this token: what the server does not know is not a slip of the mouse.
  'token.invalid': 'revoked',
  'token.missing': 'missing',
  'token.forbidden': 'forbidden',
  'meeting.unknown': 'unknown_meeting',
};

const REMEDIES: Readonly<Record<Problem, Remedy>> = {
  missing: 'none',
  unreadable: 'ask',
  other_meeting: 'none',
  other_role: 'listen',
  expired: 'ask',
  revoked: 'ask',
  forbidden: 'ask',
  unknown_meeting: 'ask',
  replaced: 'again',
  other: 'again',
};

export const problemOf = (code: string): Problem =>
  ENDINGS[code] ?? (code.startsWith('token.') ? 'forbidden' : 'other');
export const remedyOf = (problem: Problem): Remedy => REMEDIES[problem];

/** Whether the server will say the same to this link for ever: then it must not be asked again. */
export const isFinal = (code: string): boolean => code.startsWith('token.') || code === 'meeting.unknown';
