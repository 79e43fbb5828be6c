/** A meeting and what happens to a session, for the tests of the states. */

import type { ChannelState, Meeting, ServerMessage, Welcome } from '../src/wire.ts';
import type { SessionEvent } from '../src/state/session.ts';

export function meetingOf(states: Record<string, ChannelState>, revision = 1): Meeting {
  const own: Record<string, string> = { en: 'English', fr: 'Français', sq: 'Shqip' };
  const language = (tag: string) => ({ tag, autonym: own[tag] ?? tag });
  return {
    id: 'demo',
    title: 'Round table',
    revision,
    floor: { language: language('en'), speakers: [], listeners: 0 },
    channels: Object.entries(states).map(([id, state]) => ({
      id,
      language: language(id),
      state,
      on_air: [],
      listeners: 0,
    })),
    booths: [
      { id: 'fr', channel: 'fr', desks: [] },
      { id: 'sq', channel: 'sq', desks: [] },
    ],
    stage: { camera: null, screen: null },
  };
}

export const MEETING = meetingOf({ en: 'spoken', fr: 'interpreted', sq: 'passthrough' });

export const message = (m: ServerMessage): SessionEvent & { type: 'message_received' } => ({
  type: 'message_received',
  message: m,
  now_ms: 1000,
});

export const welcome = (re: number, meeting = MEETING, resumed: Partial<Welcome> = {}): ServerMessage => ({
  type: 'welcome',
  re,
  version: 1,
  participant: 'p-1',
  name: 'Somebody',
  role: 'attendee',
  languages: ['fr'],
  meeting,
  ice_servers: [],
  resumed: false,
  media: null,
  listen: null,
  original_db: -18,
  ...resumed,
});

export const failure = (re: number | null, code: string, holder: string | null = null): ServerMessage => ({
  type: 'error',
  re,
  code,
  message: 'no',
  holder,
});

/** Plays events into a state and keeps every effect. */
export class Play<S, E, F extends { do: string }> {
  state: S;
  #update: (state: S, event: E) => [S, F[]];
  effects: F[] = [];

  constructor(state: S, update: (state: S, event: E) => [S, F[]]) {
    this.state = state;
    this.#update = update;
  }

  /** The effects of these events alone. */
  on(...events: E[]): F[] {
    const seen: F[] = [];
    for (const event of events) {
      const [state, effects] = this.#update(this.state, event);
      this.state = state;
      seen.push(...effects);
    }
    this.effects.push(...seen);
    return seen;
  }

  /** The id of the last message of this type that was sent. */
  id(type: string): number {
    const sent = this.effects.filter(
      (e): e is F & { message: { type: string; id: number } } =>
        e.do === 'send' && 'message' in e && (e.message as { type: string }).type === type,
    );
    return sent.at(-1)?.message.id ?? -1;
  }
}

/** The names of effects, with the type of what is sent. */
export function names(effects: readonly { do: string; message?: { type: string } }[]): string[] {
  return effects.map((e) => (e.message === undefined ? e.do : `${e.do} ${e.message.type}`));
}
