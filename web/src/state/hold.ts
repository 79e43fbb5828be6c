/**
 * Having the channel or the floor: wanted by the person, granted by the server.
 *
 *   off → taking → on → releasing → off, and what a second press, a refusal and a lost link make of it.
 */

export type Hold = 'off' | 'taking' | 'cancelling' | 'on' | 'releasing' | 'retaking' | 'waiting';
export type HoldEvent = 'pressed' | 'granted' | 'refused' | 'released' | 'link_lost' | 'link_back';
/** `take` and `release` ask the server; `send` and `mute` put the track into the sender or take it out. */
export type HoldEffect = 'take' | 'release' | 'send' | 'mute';

export const HOLDS: readonly Hold[] = [
  'off',
  'taking',
  'cancelling',
  'on',
  'releasing',
  'retaking',
  'waiting',
];
export const HOLD_EVENTS: readonly HoldEvent[] = [
  'pressed',
  'granted',
  'refused',
  'released',
  'link_lost',
  'link_back',
];

type Row = Partial<Record<HoldEvent, [Hold, HoldEffect[]]>>;

/** What is not here changes nothing. `waiting`: the link is lost and the person still wants it. */
export const TRANSITIONS: Readonly<Record<Hold, Row>> = {
  off: { pressed: ['taking', ['take']] },
  taking: {
    pressed: ['cancelling', []],
    granted: ['on', ['send']],
    refused: ['off', ['mute']],
    link_lost: ['waiting', []],
  },
  cancelling: {
    pressed: ['taking', []],
    granted: ['releasing', ['release']],
    refused: ['off', ['mute']],
    link_lost: ['off', ['mute']],
  },
  // The track stays in: while only the socket is gone, the listeners still hear it.
  on: { pressed: ['releasing', ['mute', 'release']], link_lost: ['waiting', []] },
  releasing: {
    pressed: ['retaking', []],
    released: ['off', []],
    refused: ['off', []],
    link_lost: ['off', []],
  },
  retaking: {
    pressed: ['releasing', []],
    released: ['taking', ['take']],
    refused: ['taking', ['take']],
    link_lost: ['waiting', []],
  },
  waiting: { pressed: ['off', ['mute']], link_back: ['taking', ['take']] },
};

export function move(hold: Hold, event: HoldEvent): [Hold, HoldEffect[]] {
  return TRANSITIONS[hold][event] ?? [hold, []];
}

/** What the person wants: the state of the toggle, before the server has agreed. */
export const wanted = (hold: Hold): boolean =>
  hold === 'taking' || hold === 'on' || hold === 'retaking' || hold === 'waiting';
