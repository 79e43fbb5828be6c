/** What a page takes with it through a reload, so that its person is back where they were. */

import { wanted } from './hold.ts';
import type { Session } from './session.ts';
import type { Talker } from './talker.ts';
import { NORMAL_DB, ORIGINAL_LEVELS, type OriginalDb } from '../wire.ts';

export type Kept = {
  /** What is heard. */
  channel: string | null;
  booth: string | null;
  /** What is spoken. */
  language: string | null;
  /** Whether the floor or the channel was held, or asked for. */
  holding: boolean;
  volume: number;
  muted: boolean;
  sound_only: boolean;
  original_db: OriginalDb;
  /** The microphone. */
  device: string | null;
};

/** What lies in the tab's storage between two pages. */
export type Keepsake = {
  /** 128 random bits: with it and the token the server gives back what was ours. */
  instance: string;
  /** Of the page that wrote it: another link is another person. */
  link: string;
  at_ms: number;
  kept: Kept;
};

export const nothingKept: Kept = {
  channel: null,
  booth: null,
  language: null,
  holding: false,
  volume: 1,
  muted: false,
  sound_only: false,
  original_db: NORMAL_DB,
  device: null,
};
// A reload, a slow one included. The server keeps the seat for 8 s; after that the page enters anew.
const FRESH_MS = 20_000;

export const inside = (s: Session): boolean => s.phase !== 'outside' && s.phase !== 'ended';

export function keepTalker(t: Talker, own: Partial<Kept>): Kept | null {
  if (!inside(t.session)) return null;
  return { ...nothingKept, holding: wanted(t.hold), volume: t.volume, device: t.microphone.device, ...own };
}

/** One of the levels, as stored by us; the usual one for anything else. */
export const readLevel = (v: unknown): OriginalDb => ORIGINAL_LEVELS.find((level) => level === v) ?? NORMAL_DB;

const text = (v: unknown): string | null => (typeof v === 'string' ? v : null);

/** The keepsake of this very link, if it is fresh; null for anything else. */
export function readKeepsake(raw: string | null, link: string, now_ms: number): Keepsake | null {
  try {
    const value: unknown = JSON.parse(raw ?? 'null');
    if (typeof value !== 'object' || value === null) return null;
    const { instance, link: of, at_ms, kept } = value as Record<string, unknown>;
    if (typeof instance !== 'string' || of !== link || typeof at_ms !== 'number') return null;
    if (Math.abs(now_ms - at_ms) > FRESH_MS || typeof kept !== 'object' || kept === null) return null;
    const k = kept as Record<string, unknown>;
    const volume = typeof k.volume === 'number' ? Math.min(1, Math.max(0, k.volume)) : 1;
    return {
      instance,
      link,
      at_ms,
      kept: {
        channel: text(k.channel),
        booth: text(k.booth),
        language: text(k.language),
        holding: k.holding === true,
        volume,
        muted: k.muted === true,
        sound_only: k.sound_only === true,
        original_db: readLevel(k.original_db),
        device: text(k.device),
      },
    };
  } catch {
    return null; // not JSON: as good as nothing
  }
}
