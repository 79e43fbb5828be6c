/** The attendee's page: a session that only listens, and how loud. */

import { inside, type Kept, nothingKept } from './kept.ts';
import { autonym, hearing, preselect } from './hearing.ts';
import { createSession, type Session, type SessionEffect, type SessionEvent, update as updateSession } from './session.ts';
import { NORMAL_DB, type OriginalDb } from '../wire.ts';

export type Attendee = {
  session: Session;
  /** Chosen on the join card, before there is a session. */
  choice: string | null;
  /** The reader's languages, best first: the first that the meeting has is preselected. */
  preferred: readonly string[];
  /** 0–1, of the audio element. */
  volume: number;
  muted: boolean;
  /** The browser wants a tap before it plays. */
  blocked: boolean;
  awake: boolean;
  /** False where the browser cannot keep the screen on. */
  can_stay_awake: boolean;
  has_left: boolean;
  /** Pictures are neither shown nor sent: a poor line or a paid one keeps the sound. */
  sound_only: boolean;
};

export type AttendeeEvent =
  | SessionEvent
  | { type: 'choice_made'; channel: string }
  | { type: 'listen_pressed' }
  | { type: 'page_restored'; kept: Kept }
  | { type: 'leave_pressed' }
  | { type: 'return_pressed' }
  | { type: 'volume_moved'; volume: number }
  | { type: 'mute_pressed' }
  | { type: 'playback_blocked' }
  | { type: 'playback_started' }
  | { type: 'play_pressed' }
  | { type: 'sound_only_pressed' }
  | { type: 'awake_pressed' }
  | { type: 'awake_unavailable' };

export type AttendeeEffect =
  | SessionEffect
  | { do: 'unlock_sound' }
  | { do: 'play' }
  | { do: 'set_volume'; volume: number; muted: boolean }
  | { do: 'remember_original'; original_db: OriginalDb }
  | { do: 'keep_awake'; on: boolean };

export function createAttendee(
  token: string,
  preferred: readonly string[],
  canStayAwake: boolean,
  soundOnly = false,
  original_db: OriginalDb = NORMAL_DB,
): Attendee {
  return {
    session: createSession(token, original_db),
    choice: null,
    preferred,
    volume: 1,
    muted: false,
    blocked: false,
    awake: false,
    can_stay_awake: canStayAwake,
    has_left: false,
    sound_only: soundOnly,
  };
}

export function update(s: Attendee, event: AttendeeEvent): [Attendee, AttendeeEffect[]] {
  switch (event.type) {
    case 'choice_made':
      return [{ ...s, choice: event.channel }, []];
    case 'listen_pressed': {
      const [next, effects] = bySession(s, { type: 'join_asked', channel: s.choice });
      // First: only inside the click may a page start its sound.
      return [{ ...next, has_left: false }, [{ do: 'unlock_sound' }, ...effects]];
    }
    case 'page_restored': {
      const { channel, volume, muted, sound_only, original_db } = event.kept;
      const session = { ...s.session, original_db };
      const [next, effects] = bySession({ ...s, session, volume, muted, sound_only }, { type: 'join_asked', channel });
      return [next, [{ do: 'unlock_sound' }, { do: 'set_volume', volume, muted }, ...effects]];
    }
    case 'leave_pressed': {
      const [next, effects] = bySession(s, { type: 'left' });
      const left = { ...next, choice: s.session.channel, blocked: false, awake: false, has_left: true };
      return [left, [...effects, { do: 'keep_awake', on: false }]];
    }
    case 'return_pressed':
      return [{ ...s, has_left: false }, []];
    case 'volume_moved':
      return loudness({ ...s, volume: event.volume, muted: false });
    case 'mute_pressed':
      return loudness({ ...s, muted: !s.muted });
    case 'playback_blocked':
      return [{ ...s, blocked: true }, []];
    case 'playback_started':
      return [{ ...s, blocked: false }, []];
    case 'play_pressed':
      return [s, [{ do: 'play' }]];
    case 'sound_only_pressed':
      return [{ ...s, sound_only: !s.sound_only }, []];
    case 'original_chosen': {
      const [next, effects] = bySession(s, event);
      return [next, [{ do: 'remember_original', original_db: event.original_db }, ...effects]];
    }
    case 'awake_pressed':
      return [{ ...s, awake: !s.awake }, [{ do: 'keep_awake', on: !s.awake }]];
    case 'awake_unavailable':
      return [{ ...s, awake: false }, []];
    case 'meeting_fetched':
      return bySession({ ...s, choice: s.choice ?? preselect(event.meeting, s.preferred) }, event);
    default:
      return bySession(s, event);
  }
}

/** What a reload must not lose. */
export function keep({ session, volume, muted, sound_only }: Attendee): Kept | null {
  const { channel, original_db } = session;
  return inside(session) ? { ...nothingKept, channel, volume, muted, sound_only, original_db } : null;
}

const loudness = (s: Attendee): [Attendee, AttendeeEffect[]] => [
  s,
  [{ do: 'set_volume', volume: s.volume, muted: s.muted }],
];

function bySession(s: Attendee, event: SessionEvent): [Attendee, AttendeeEffect[]] {
  const [session, effects] = updateSession(s.session, event);
  const next = { ...s, session };
  if (session.phase === 'ended' && s.session.phase !== 'ended') {
    // Nothing is heard any more: the screen need not burn.
    return [{ ...next, blocked: false, awake: false }, [...effects, { do: 'keep_awake', on: false }]];
  }
  return [next, [...effects, ...said(s.session, session)]];
}

/** The chosen language lost or got its interpreter: said once, at the change. */
function said(before: Session, after: Session): AttendeeEffect[] {
  if (before.phase !== 'live' || after.phase !== 'live') return [];
  const was = hearing(before.meeting, before.channel);
  const is = hearing(after.meeting, after.channel);
  const moved = before.channel !== after.channel;
  if (is === 'original' || (is === was && !moved) || (is === 'interpreted' && moved)) return [];
  const text = is === 'passthrough' ? 'said-passthrough' : 'said-interpreted';
  return [{ do: 'announce', text, args: { language: autonym(after.meeting, after.channel) } }];
}
