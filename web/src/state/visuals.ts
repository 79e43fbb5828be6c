/** What a speaker shows: the camera and the screen, each off, being asked for, on, or why it is not. */

import type { What } from '../wire.ts';
import type { Device } from './microphone.ts';

/** `server`: the browser gave a picture and the server did not take it. */
export type VisualProblem = 'denied' | 'missing' | 'busy' | 'server';
/** `changing`: on, and another camera is being opened in its place. */
export type Visual = 'off' | 'asking' | 'on' | 'changing' | VisualProblem;
export type Visuals = Record<What, Visual> & {
  /** Known once a camera was opened: before that browsers give no names. */
  cameras: Device[];
  /** The camera in use or chosen; null is the browser's default. */
  device: string | null;
};
export type VisualEvent =
  | { type: 'visual_pressed'; what: What }
  | { type: 'visual_opened'; what: What }
  /** `dismissed`: the person closed the browser's question about the screen. */
  | { type: 'visual_failed'; what: What; problem: VisualProblem | 'dismissed' }
  | { type: 'visual_ended'; what: What }
  | { type: 'cameras_listed'; cameras: Device[]; device: string | null }
  | { type: 'camera_chosen'; device: string };
/** `open` asks the browser and sends; `close` stops the device and the sending. */
export type VisualEffect =
  | { do: 'open_visual'; what: What; device: string | null }
  | { do: 'close_visual'; what: What };
/** What the server is to be told, if anything. */
export type Told = { what: What; on: boolean } | null;

export const nothingShown: Visuals = { camera: 'off', screen: 'off', cameras: [], device: null };

/** Whether the server has been told, or is to be told, that this picture flows. */
export const flows = (visual: Visual): boolean => visual === 'on' || visual === 'changing';
export const problemOf = (visual: Visual): VisualProblem | null =>
  visual === 'denied' || visual === 'missing' || visual === 'busy' || visual === 'server' ? visual : null;

const EVENTS = new Set<string>([
  'visual_pressed',
  'visual_opened',
  'visual_failed',
  'visual_ended',
  'cameras_listed',
  'camera_chosen',
]);
export const isVisualEvent = (event: { type: string }): event is VisualEvent => EVENTS.has(event.type);

export function updateVisuals(v: Visuals, event: VisualEvent): [Visuals, VisualEffect[], Told] {
  switch (event.type) {
    case 'cameras_listed':
      return [{ ...v, cameras: event.cameras, device: event.device ?? v.device }, [], null];
    case 'camera_chosen': {
      const { device } = event;
      if (v.camera !== 'on' && v.camera !== 'changing') return [{ ...v, device }, [], null];
      return [{ ...v, device, camera: 'changing' }, [{ do: 'open_visual', what: 'camera', device }], null];
    }
    default:
      return turned(v, event);
  }
}

function turned(
  v: Visuals,
  event: Exclude<VisualEvent, { type: 'cameras_listed' | 'camera_chosen' }>,
): [Visuals, VisualEffect[], Told] {
  const { what } = event;
  const before = v[what];
  const to = (next: Visual): Visuals => ({ ...v, [what]: next });
  const close: VisualEffect = { do: 'close_visual', what };
  const told: Told = flows(before) ? { what, on: false } : null;
  switch (event.type) {
    case 'visual_pressed':
      // Also ends the asking: the browser's question may stand open for long.
      if (flows(before) || before === 'asking') return [to('off'), [close], told];
      return [to('asking'), [{ do: 'open_visual', what, device: what === 'camera' ? v.device : null }], null];
    case 'visual_opened':
      if (before === 'asking') return [to('on'), [], { what, on: true }];
      return before === 'changing' || before === 'on' ? [to('on'), [], null] : [v, [close], null];
    case 'visual_failed':
      if (before !== 'asking' && !flows(before)) return [v, [], null];
      return [to(event.problem === 'dismissed' ? 'off' : event.problem), [close], told];
    case 'visual_ended':
      return flows(before) ? [to('off'), [close], told] : [v, [], null];
  }
}
