/** How a person with a microphone comes in: by the button of the door, or back by a reload. */

import type { Kept } from './kept.ts';
import { opening } from './microphone.ts';
import { type Talker, type TalkerStep, updateTalker, type Wording } from './talker.ts';

/** `listens`: the channel of the listening slot; `muted`: it is not to be heard. */
export type Entry = { listens: string | null; muted: boolean };

/** Asks for the microphone that was chosen last and for the meeting, side by side. */
export function enter(t: Talker, { listens, muted }: Entry, wording: Wording): TalkerStep {
  const asking = { ...t, microphone: opening(t.microphone) };
  const [next, effects] = updateTalker(asking, { type: 'join_asked', channel: listens }, wording);
  return [
    next,
    [
      // First: only inside the click may a page start its sound.
      { do: 'unlock_sound' },
      { do: 'set_volume', volume: t.volume, muted },
      { do: 'open_microphone', device: t.microphone.device },
      ...effects,
    ],
  ];
}

/** After a reload: the person held it a moment ago, and has not let go. */
export function restore(t: Talker, { holding, volume, device }: Kept): Talker {
  const microphone = { ...t.microphone, device };
  return { ...t, microphone, volume, hold: holding ? 'waiting' : 'off', restored: true };
}
