/**
 * What the interpreter's and the speaker's pages share: a session, a microphone and a hold on something
 * (the channel, the floor). The page gives the messages that take and release it.
 */

import type { ClientMessage, Welcome } from '../wire.ts';
import { type Hold, type HoldEvent, move } from './hold.ts';
import {
  closedMicrophone,
  isMicrophoneEvent,
  type Microphone,
  type MicrophoneEffect,
  type MicrophoneEvent,
  opening,
  updateMicrophone,
} from './microphone.ts';
import {
  answered,
  createSession,
  type Request,
  request,
  type Session,
  type SessionEffect,
  type SessionEvent,
  update as updateSession,
} from './session.ts';

export type Refusal = { code: string; holder: string | null };

export type Talker = {
  session: Session;
  microphone: Microphone;
  hold: Hold;
  held_since_ms: number | null;
  refusal: Refusal | null;
  volume: number;
  blocked: boolean;
  /** The page was loaded anew: what it held is its own only if the server still says so. */
  restored: boolean;
};

export type TalkerEvent =
  | SessionEvent
  | MicrophoneEvent
  | { type: 'hold_pressed' }
  | { type: 'volume_moved'; volume: number }
  | { type: 'playback_blocked' }
  | { type: 'playback_started' }
  | { type: 'play_pressed' };

export type TalkerEffect =
  | SessionEffect
  | MicrophoneEffect
  | { do: 'unlock_sound' }
  | { do: 'play' }
  | { do: 'set_volume'; volume: number; muted: boolean }
  | { do: 'send_microphone' }
  | { do: 'mute_microphone' }
  | { do: 'close_microphone' };

export type Take = Extract<Request, 'take_channel' | 'take_floor'>;
export type Release = Extract<Request, 'release_channel' | 'release_floor'>;
export type Wording = {
  take: Exclude<ClientMessage, { type: 'bye' }> & { type: Take };
  release: Exclude<ClientMessage, { type: 'bye' }> & { type: Release };
};

export function createTalker(token: string): Talker {
  return {
    session: createSession(token),
    microphone: closedMicrophone,
    hold: 'off',
    held_since_ms: null,
    refusal: null,
    volume: 1,
    blocked: false,
    restored: false,
  };
}

export type TalkerStep = [Talker, TalkerEffect[]];

export function updateTalker(t: Talker, event: TalkerEvent, wording: Wording): TalkerStep {
  if (isMicrophoneEvent(event)) {
    const [microphone, effects] = updateMicrophone(t.microphone, event);
    return [{ ...t, microphone }, effects];
  }
  switch (event.type) {
    case 'hold_pressed':
      return pressed(t, wording);
    case 'volume_moved':
      return [{ ...t, volume: event.volume }, [{ do: 'set_volume', volume: event.volume, muted: false }]];
    case 'playback_blocked':
      return [{ ...t, blocked: true }, []];
    case 'playback_started':
      return [{ ...t, blocked: false }, []];
    case 'play_pressed':
      return [t, [{ do: 'play' }]];
    default:
      return bySession(t, event, wording);
  }
}

/** Whether the key may be pressed: on air without a path for the voice, the listeners would get silence. */
export function ready(t: Talker): boolean {
  const { phase, media } = t.session;
  return phase === 'live' && (media === 'connected' || media === 'stalled') && t.microphone.state !== 'opening';
}

function pressed(t: Talker, wording: Wording): TalkerStep {
  if (t.hold === 'off' && !ready(t)) return [t, []];
  if (t.hold === 'off' && t.microphone.state !== 'open') {
    return [
      { ...t, microphone: opening(t.microphone) },
      [{ do: 'open_microphone', device: t.microphone.device }],
    ];
  }
  return turn({ ...t, refusal: null }, 'pressed', wording, null);
}

/** One step of the hold and what follows from it. `now_ms` where the event has one. */
export function turn(t: Talker, event: HoldEvent, wording: Wording, now_ms: number | null): TalkerStep {
  const [hold, todo] = move(t.hold, event);
  let session = t.session;
  const effects: TalkerEffect[] = [];
  for (const what of todo) {
    if (what === 'send') effects.push({ do: 'send_microphone' });
    else if (what === 'mute') effects.push({ do: 'mute_microphone' });
    else {
      const [next, more] = request(session, what === 'take' ? wording.take : wording.release);
      session = next;
      effects.push(...more);
    }
  }
  // A lost link does not begin the turn anew.
  const goesOn = hold === 'waiting' || hold === 'taking';
  const since = hold === 'on' ? (t.held_since_ms ?? now_ms) : goesOn ? t.held_since_ms : null;
  return [{ ...t, session, hold, held_since_ms: since }, effects];
}

/** No way for a voice to the server, as far as it is known. */
function cut(s: Session): boolean {
  return s.phase !== 'live' || s.media === 'stalled' || s.media === 'lost';
}

function bySession(t: Talker, event: SessionEvent, wording: Wording): TalkerStep {
  const kind = event.type === 'message_received' ? answered(t.session, event.message) : null;
  const [session, effects] = updateSession(t.session, event);
  let step: TalkerStep = [{ ...t, session }, effects];
  // The server takes a voice that stalls off the air: who still wants the channel asks for it again.
  if (!cut(t.session) && cut(session)) {
    step = andThen(step, (next) => turn(next, 'link_lost', wording, null));
  }
  if (session.phase === 'live' && t.session.media !== 'connected' && session.media === 'connected') {
    step = andThen(step, (next) => turn(next, 'link_back', wording, null));
  }
  const over = session.phase === 'outside' || session.phase === 'ended';
  if (over && session.phase !== t.session.phase) {
    const microphone = closedMicrophone;
    step = andThen(step, (next) => [
      { ...next, hold: 'off', held_since_ms: null, microphone },
      [{ do: 'close_microphone' }],
    ]);
  }
  if (event.type === 'message_received') {
    const { message, now_ms } = event;
    if (message.type === 'welcome' && kind === 'hello') step = andThen(step, (next) => reunited(next, message, wording, now_ms));
    if (kind === 'take_channel' || kind === 'take_floor') {
      if (message.type === 'done') step = andThen(step, (next) => turn(next, 'granted', wording, now_ms));
      if (message.type === 'error') {
        const refusal = { code: message.code, holder: message.holder };
        step = andThen(step, (next) => turn({ ...next, refusal }, 'refused', wording, now_ms));
      }
    }
    if (kind === 'release_channel' || kind === 'release_floor') {
      const what = message.type === 'done' ? 'released' : 'refused';
      step = andThen(step, (next) => turn(next, what, wording, now_ms));
    }
  }
  return step;
}

/** What the server still has and the person has not, and the other way round. */
function reunited(t: Talker, welcome: Welcome, wording: Wording, now_ms: number): TalkerStep {
  const next = { ...t, restored: false };
  const heard_s = welcome.resumed ? heardFor(welcome) : null;
  // Nobody goes on air by themselves who may have stopped thinking of it.
  if (t.restored && !welcome.resumed) return [{ ...next, hold: 'off', held_since_ms: null }, []];
  if (t.hold === 'waiting' && heard_s !== null) return [{ ...next, held_since_ms: now_ms - 1000 * heard_s }, []];
  if (t.hold !== 'off' || heard_s === null) return [next, []];
  const [session, effects] = request(next.session, wording.release);
  return [{ ...next, session }, effects];
}

/** For how many seconds the person has had the floor or a channel; null if they have neither. */
function heardFor({ meeting, participant }: Welcome): number | null {
  const own = (one: { participant: string }): boolean => one.participant === participant;
  const on_air = meeting.channels.flatMap((c) => c.on_air).find(own);
  return meeting.floor.speakers.find(own)?.speaking_s ?? on_air?.on_air_s ?? null;
}

/** Runs `next` on the state of `step` and joins the effects. */
export function andThen([t, effects]: TalkerStep, next: (t: Talker) => TalkerStep): TalkerStep {
  const [after, more] = next(t);
  return [after, [...effects, ...more]];
}
