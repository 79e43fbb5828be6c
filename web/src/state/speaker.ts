/** The speaker's page: a talker that holds the floor in one language. Hears nothing unless asked: loudspeakers echo. */

import { enter as enterTalker, restore } from './entry.ts';
import { type Kept, keepTalker } from './kept.ts';
import { answered, request } from './session.ts';
import {
  createTalker,
  type Talker,
  type TalkerEffect,
  type TalkerEvent,
  type TalkerStep,
  andThen,
  turn,
  updateTalker,
  type Wording,
} from './talker.ts';
import type { What } from '../wire.ts';
import {
  flows,
  isVisualEvent,
  nothingShown,
  updateVisuals,
  type VisualEffect,
  type VisualEvent,
  type Visuals,
} from './visuals.ts';

export type Speaker = {
  talker: Talker;
  /** BCP-47 tag of what this person speaks; null until the meeting is known. */
  language: string | null;
  /** The channel in the headphones; null is silence. */
  hears: string | null;
  visuals: Visuals;
  /** The last `show` of each picture: whose refusal it is. */
  shows: Record<What, number | null>;
};

export type SpeakerEvent =
  | TalkerEvent
  | VisualEvent
  | { type: 'language_chosen'; language: string }
  | { type: 'hearing_chosen'; channel: string | null }
  | { type: 'enter_pressed' }
  | { type: 'page_restored'; kept: Kept }
  | { type: 'leave_pressed' };

export type SpeakerEffect = TalkerEffect | VisualEffect;

export function createSpeaker(token: string): Speaker {
  return { talker: createTalker(token), language: null, hears: null, visuals: nothingShown, shows: { camera: null, screen: null } };
}

/** The chosen language, or the floor's. */
export function languageOf(s: Speaker): string {
  return s.language ?? s.talker.session.meeting?.floor.language.tag ?? '';
}

const wording = (s: Speaker): Wording => ({
  take: { type: 'take_floor', language: languageOf(s) },
  release: { type: 'release_floor' },
});

export function update(s: Speaker, event: SpeakerEvent): [Speaker, SpeakerEffect[]] {
  if (isVisualEvent(event)) return show(s, event);
  switch (event.type) {
    case 'language_chosen':
      // On the floor it stays what was declared: the interpreters work from it.
      return s.talker.hold === 'off' ? [{ ...s, language: event.language }, []] : [s, []];
    case 'hearing_chosen':
      return hear(s, event.channel);
    case 'enter_pressed':
      return enter(s);
    case 'page_restored': {
      const { channel, language } = event.kept;
      return enter({ ...s, hears: channel, language, talker: restore(s.talker, event.kept) });
    }
    case 'leave_pressed':
      return byTalker(s, { type: 'left' });
    case 'hold_pressed':
      // From here on it is declared, whatever the floor's language becomes: also over a reload.
      return byTalker({ ...s, language: languageOf(s) || null }, event);
    default:
      return byTalker(s, event);
  }
}

/** What a reload must not lose; the browser asks anew for a camera or a screen. */
export function keep(s: Speaker): Kept | null {
  return keepTalker(s.talker, { channel: s.hears, language: s.language });
}

function enter(s: Speaker): [Speaker, SpeakerEffect[]] {
  const [talker, effects] = enterTalker(s.talker, { listens: s.hears, muted: s.hears === null }, wording(s));
  return [{ ...s, talker }, effects];
}

/** The server is told once a picture is being sent, and again after a new link: it forgets with the session. */
function show(s: Speaker, event: VisualEvent): [Speaker, SpeakerEffect[]] {
  const [visuals, effects, told] = updateVisuals(s.visuals, event);
  const next = { ...s, visuals };
  if (told === null || s.talker.session.phase !== 'live') return [next, effects];
  const [session, more] = request(s.talker.session, { type: 'show', ...told });
  const shows = { ...s.shows, [told.what]: told.on ? s.talker.session.next_id : null };
  return [{ ...next, shows, talker: { ...s.talker, session } }, [...effects, ...more]];
}

/** A session taken up may still show what was closed meanwhile, or was lost with the page before. */
function showAgain(talker: Talker, visuals: Visuals, resumed: boolean): TalkerStep {
  let step: TalkerStep = [talker, []];
  for (const what of ['camera', 'screen'] as const) {
    const on = flows(visuals[what]);
    if (on || resumed) {
      step = andThen(step, (t) => {
        const [session, effects] = request(t.session, { type: 'show', what, on });
        return [{ ...t, session }, effects];
      });
    }
  }
  return step;
}

/** Silence is the muted element: the protocol has no way to take a channel out of the slot. */
function hear(s: Speaker, channel: string | null): [Speaker, SpeakerEffect[]] {
  const sound: TalkerEffect = { do: 'set_volume', volume: s.talker.volume, muted: channel === null };
  if (channel === null) return [{ ...s, hears: null }, [sound]];
  const [next, effects] = byTalker({ ...s, hears: channel }, { type: 'channel_chosen', channel });
  return [next, [sound, ...effects]];
}

function byTalker(s: Speaker, event: TalkerEvent): [Speaker, SpeakerEffect[]] {
  const answers = event.type === 'message_received' ? answered(s.talker.session, event.message) : null;
  let step = updateTalker(s.talker, event, wording(s));
  if (event.type === 'message_received' && answers === 'hello' && event.message.type === 'welcome') {
    const { resumed } = event.message;
    // With the meeting that came just now: a page that was loaded anew knew none before.
    const words = wording({ ...s, talker: step[0] });
    step = andThen(step, (t) => turn(t, 'link_back', words, event.now_ms));
    step = andThen(step, (t) => showAgain(t, s.visuals, resumed));
  }
  const [talker, effects]: [Talker, SpeakerEffect[]] = step;
  const { phase } = talker.session;
  if (phase !== s.talker.session.phase && (phase === 'outside' || phase === 'ended')) {
    // However it ended: a camera's light must not stay on behind a closed door.
    const visuals = { ...s.visuals, camera: 'off', screen: 'off' } as const;
    effects.push({ do: 'close_visual', what: 'camera' }, { do: 'close_visual', what: 'screen' });
    return [{ ...s, talker, visuals }, effects];
  }
  if (answers === 'show' && event.type === 'message_received' && event.message.type === 'error') {
    const { re } = event.message;
    const what = (['camera', 'screen'] as const).find((w) => s.shows[w] === re);
    if (what !== undefined && flows(s.visuals[what])) {
      const visuals = { ...s.visuals, [what]: 'server' };
      return [{ ...s, talker, visuals }, [...effects, { do: 'close_visual', what }]];
    }
  }
  const refused = answers === 'take_floor' && event.type === 'message_received' && event.message.type === 'error';
  if (refused) effects.push({ do: 'announce', text: 'refusal-floor' });
  return [{ ...s, talker }, effects];
}
