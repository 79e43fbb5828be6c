/** What a speaker shows: the camera and the screen, each off, being asked for, on, or refused by the browser. */

import type { What } from '../wire.ts';

export type Visual = 'off' | 'asking' | 'on' | 'refused';
export type Visuals = Record<What, Visual>;
export type VisualEvent =
  | { type: 'visual_pressed'; what: What }
  | { type: 'visual_opened'; what: What }
  | { type: 'visual_failed'; what: What }
  | { type: 'visual_ended'; what: What };
/** `open` asks the browser and sends; `close` stops the device and the sending. */
export type VisualEffect = { do: 'open_visual'; what: What } | { do: 'close_visual'; what: What };
/** What the server is to be told, if anything. */
export type Told = { what: What; on: boolean } | null;

export const nothingShown: Visuals = { camera: 'off', screen: 'off' };

export function updateVisuals(v: Visuals, event: VisualEvent): [Visuals, VisualEffect[], Told] {
  const { what } = event;
  const before = v[what];
  const to = (next: Visual): Visuals => ({ ...v, [what]: next });
  switch (event.type) {
    case 'visual_pressed':
      if (before === 'on') return [to('off'), [{ do: 'close_visual', what }], { what, on: false }];
      return before === 'asking' ? [v, [], null] : [to('asking'), [{ do: 'open_visual', what }], null];
    case 'visual_opened':
      if (before === 'asking') return [to('on'), [], { what, on: true }];
      return [v, [{ do: 'close_visual', what }], null];
    case 'visual_failed':
      return [before === 'asking' ? to('refused') : v, [], null];
    case 'visual_ended':
      return before === 'on' ? [to('off'), [{ do: 'close_visual', what }], { what, on: false }] : [v, [], null];
  }
}
