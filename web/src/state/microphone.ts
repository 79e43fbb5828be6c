/** The microphone of a page that may speak: the device, and what its last opening told. */

export type MicrophoneProblem = 'denied' | 'missing' | 'busy';
export type Device = { id: string; label: string };

export type Microphone = {
  state: 'closed' | 'opening' | 'open' | 'failed';
  problem: MicrophoneProblem | null;
  devices: Device[];
  device: string | null;
  /** Processing that was asked to be off and came back on: 'echo', 'noise', 'gain'. */
  processing: string[];
};

export type MicrophoneEvent =
  | { type: 'microphone_opened'; device: string | null; processing: string[] }
  | { type: 'microphone_failed'; problem: MicrophoneProblem }
  | { type: 'devices_listed'; devices: Device[] }
  | { type: 'device_chosen'; device: string };

export type MicrophoneEffect = { do: 'open_microphone'; device: string | null };

export const closedMicrophone: Microphone = {
  state: 'closed',
  problem: null,
  devices: [],
  device: null,
  processing: [],
};

/** Asks for the device again: after a refusal, a choice or a headset that was pulled. */
export const opening = (m: Microphone): Microphone => ({ ...m, state: 'opening', problem: null });

export function updateMicrophone(m: Microphone, event: MicrophoneEvent): [Microphone, MicrophoneEffect[]] {
  switch (event.type) {
    case 'microphone_opened':
      return [
        { ...m, state: 'open', problem: null, device: event.device, processing: event.processing },
        [],
      ];
    case 'microphone_failed':
      return [{ ...m, state: 'failed', problem: event.problem }, []];
    case 'devices_listed':
      return [{ ...m, devices: event.devices }, []];
    case 'device_chosen':
      return [
        { ...opening(m), device: event.device },
        [{ do: 'open_microphone', device: event.device }],
      ];
  }
}

export function isMicrophoneEvent(event: { type: string }): event is MicrophoneEvent {
  return (
    event.type === 'microphone_opened' ||
    event.type === 'microphone_failed' ||
    event.type === 'devices_listed' ||
    event.type === 'device_chosen'
  );
}
