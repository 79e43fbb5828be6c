/** What a listener hears, derived from the meeting and the chosen channel. */

import { type Channel, type ChannelLevels, FLOOR, type Meeting, NORMAL_DB, type OriginalDb, type Speaker } from '../wire.ts';
import type { Session } from './session.ts';

/** `original`: the floor was chosen, or the channel's language is the one spoken. */
export type Hearing = 'original' | 'interpreted' | 'passthrough';

export function channelOf(meeting: Meeting | null, id: string | null): Channel | null {
  return meeting?.channels.find((c) => c.id === id) ?? null;
}

export function hearing(meeting: Meeting | null, channel: string | null): Hearing {
  const state = channelOf(meeting, channel)?.state;
  if (state === 'interpreted' || state === 'passthrough') return state;
  return 'original';
}

/** Own name of a channel; empty for the original, whose name is a translated word. */
export function autonym(meeting: Meeting | null, channel: string | null): string {
  return channelOf(meeting, channel)?.language.autonym ?? '';
}

/** The channel of the first of `preferred` (as `navigator.languages`) that the meeting has, else the original. */
export function preselect(meeting: Meeting, preferred: readonly string[]): string {
  for (const wish of preferred) {
    const want = wish.toLowerCase();
    const base = want.split('-')[0];
    const hit =
      meeting.channels.find((c) => c.language.tag.toLowerCase() === want) ??
      meeting.channels.find((c) => c.language.tag.toLowerCase().split('-')[0] === base);
    if (hit !== undefined) return hit.id;
  }
  return FLOOR;
}

/** The channel after the chosen one in the order of the list, "Original" first: for a headset's "next track". */
export function nextChannel(meeting: Meeting, channel: string | null): string {
  const order = [FLOOR, ...meeting.channels.map((c) => c.id)];
  return order[(order.indexOf(channel ?? FLOOR) + 1) % order.length] ?? FLOOR;
}

export type LinkState = 'good' | 'connecting' | 'reconnecting' | 'poor' | 'lost';

/** One word for the state of the connection. */
export function linkState(s: Session): LinkState {
  if (s.phase === 'ended') return 'lost';
  if (s.phase === 'reconnecting' || s.media === 'lost') return 'reconnecting';
  if (s.phase !== 'live') return 'connecting';
  if (s.media === 'connected') return 'good';
  return s.media === 'stalled' ? 'poor' : 'connecting';
}

/** The original as this listener has it: the server tells of the usual level, under an interpreter who is on air. */
export function originalAt(levels: ChannelLevels, original_db: OriginalDb): number | null {
  if (levels.interpreter_db === null || levels.original_db === null) return levels.original_db;
  return original_db === 'off' ? null : levels.original_db + original_db - Number(NORMAL_DB);
}

/** Segments of `of` that a level lights: −60 dBFS none, 0 dBFS all. */
export function segments(db: number | null, of: number): number {
  if (db === null) return 0;
  return Math.max(0, Math.min(of, Math.round(((db + 60) / 60) * of)));
}

/** Whether the server hears them now. */
export const isHeard = (s: Session, participant: string): boolean =>
  participant !== '' && s.speaking.participants.includes(participant);

/** Who speaks before those who may; else in the order in which they came. */
export const dominantFirst = (speakers: Speaker[], dominant: string | null): Speaker[] =>
  speakers.toSorted((a, b) => Number(b.participant === dominant) - Number(a.participant === dominant));
