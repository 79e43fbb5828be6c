/** The interpreter's page: a talker with a booth. Hears the floor; holds the booth's channel while the microphone is on. */

import { type Booth, FLOOR, type Meeting } from '../wire.ts';
import { enter as enterTalker, restore } from './entry.ts';
import { autonym } from './hearing.ts';
import { type Kept, keepTalker } from './kept.ts';
import { answered, request } from './session.ts';
import {
  createTalker,
  type Refusal,
  type Talker,
  type TalkerEffect,
  type TalkerEvent,
  type TalkerStep,
  ready as talkerReady,
  andThen,
  turn,
  updateTalker,
  type Wording,
} from './talker.ts';

export type Interpreter = {
  talker: Talker;
  /** The languages of the token: which booths are offered. Empty: all. */
  languages: string[];
  booth: string | null;
  seat: 'none' | 'joining' | 'seated' | 'refused';
  seat_refusal: Refusal | null;
  /** Which of the two pictures are shown. */
  view: View;
};

export const VIEWS = ['both', 'speaker', 'slides'] as const;
export type View = (typeof VIEWS)[number];

export type InterpreterEvent =
  | TalkerEvent
  | { type: 'booth_chosen'; booth: string }
  | { type: 'view_chosen'; view: View }
  | { type: 'view_cycled' }
  | { type: 'enter_pressed' }
  | { type: 'page_restored'; kept: Kept }
  | { type: 'leave_pressed' };

const WORDING: Wording = { take: { type: 'take_channel' }, release: { type: 'release_channel' } };

export function createInterpreter(token: string, languages: string[]): Interpreter {
  return { talker: createTalker(token), languages, booth: null, seat: 'none', seat_refusal: null, view: 'both' };
}

/** The booths this person may work in, in the meeting's order. */
export function boothsOf(meeting: Meeting | null, languages: readonly string[]): Booth[] {
  const booths = meeting?.booths ?? [];
  return languages.length === 0 ? booths : booths.filter((b) => languages.includes(b.channel));
}

/** The chosen booth, or the first one allowed. */
export function boothOf(s: Interpreter): Booth | null {
  const allowed = boothsOf(s.talker.session.meeting, s.languages);
  return allowed.find((b) => b.id === s.booth) ?? allowed[0] ?? null;
}

/** Whether the microphone key may be pressed. */
export const ready = (s: Interpreter): boolean => s.seat === 'seated' && talkerReady(s.talker);

export function update(s: Interpreter, event: InterpreterEvent): [Interpreter, TalkerEffect[]] {
  switch (event.type) {
    case 'booth_chosen':
      return [{ ...s, booth: event.booth }, []];
    case 'view_chosen':
      return [{ ...s, view: event.view }, []];
    case 'view_cycled':
      return [{ ...s, view: VIEWS[(VIEWS.indexOf(s.view) + 1) % VIEWS.length] ?? 'both' }, []];
    case 'enter_pressed':
      return enter(s, boothOf(s)?.id ?? null);
    case 'page_restored':
      return enter({ ...s, talker: restore(s.talker, event.kept) }, event.kept.booth);
    case 'leave_pressed': {
      const [next, effects] = byTalker(s, { type: 'left' });
      return [{ ...next, seat: 'none' }, effects];
    }
    case 'hold_pressed':
      return s.talker.hold === 'off' && !ready(s) ? [s, []] : byTalker(s, event);
    default:
      return byTalker(s, event);
  }
}

/** What a reload must not lose. */
export function keep(s: Interpreter): Kept | null {
  return keepTalker(s.talker, { channel: FLOOR, booth: s.booth });
}

function enter(s: Interpreter, booth: string | null): [Interpreter, TalkerEffect[]] {
  if (booth === null) return [s, []];
  const [talker, effects] = enterTalker(s.talker, { listens: FLOOR, muted: false }, WORDING);
  return [{ ...s, talker, booth, seat: 'joining', seat_refusal: null }, effects];
}

function byTalker(s: Interpreter, event: TalkerEvent): [Interpreter, TalkerEffect[]] {
  const kind =
    event.type === 'message_received' ? answered(s.talker.session, event.message) : null;
  let step = updateTalker(s.talker, event, WORDING);
  let { seat, seat_refusal } = s;
  if (event.type === 'message_received') {
    const { message } = event;
    if (message.type === 'welcome' && step[0].session.phase === 'live' && s.booth !== null) {
      seat = 'joining';
      step = andThen(step, (t) => ask(t, s.booth ?? ''));
    }
    if (kind === 'join_booth' && message.type === 'done') {
      seat = 'seated';
      // What the interpreter wanted before the link broke is asked for again.
      step = andThen(step, (t) => turn(t, 'link_back', WORDING, event.now_ms));
    }
    if (kind === 'join_booth' && message.type === 'error') {
      seat = 'refused';
      seat_refusal = { code: message.code, holder: message.holder };
    }
    if (kind === 'take_channel' && message.type === 'error') step = andThen(step, (t) => [t, [refusalSaid(s, t)]]);
  }
  const [talker, effects] = step;
  return [{ ...s, talker, seat, seat_refusal }, effects];
}

function ask(t: Talker, booth: string): TalkerStep {
  const [session, effects] = request(t.session, { type: 'join_booth', booth });
  return [{ ...t, session }, effects];
}

function refusalSaid(s: Interpreter, t: Talker): TalkerEffect {
  const language = autonym(t.session.meeting, boothOf(s)?.channel ?? null);
  const args = { language, holder: t.refusal?.holder ?? '' };
  return { do: 'announce', text: t.refusal?.code === 'channel.held' ? 'refusal-held' : 'refusal-other', args };
}
