/** The speaker's camera and screen: opened when asked, given to the sender, stopped for good when closed. */

import type { Device } from '../state/microphone.ts';
import type { VisualEvent, VisualProblem } from '../state/visuals.ts';
import type { What } from '../wire.ts';

type Send = (what: What | 'sound', track: MediaStreamTrack | null) => Promise<void>;

export class VisualSources {
  #streams: Record<What, MediaStream | null> = { camera: null, screen: null };
  /** Counts the openings and closings: a picture that comes too late is not sent. */
  #turns: Record<What, number> = { camera: 0, screen: 0 };
  #send: Send;
  #dispatch: (event: VisualEvent) => void;

  constructor(send: Send, dispatch: (event: VisualEvent) => void) {
    this.#send = send;
    this.#dispatch = dispatch;
  }

  stream(what: What): MediaStream | null {
    return this.#streams[what];
  }

  /** `device` (null: the default) is a camera's; the one before goes on until the new one is there. */
  async open(what: What, device: string | null): Promise<void> {
    const turn = (this.#turns[what] += 1);
    try {
      const stream = await ask(what, device);
      const [track] = stream.getVideoTracks();
      if (turn !== this.#turns[what] || track === undefined) {
        stop(stream);
        if (track === undefined) throw new DOMException('no track', 'NotFoundError');
        return;
      }
      // Slides are read, not watched: sharpness before motion.
      if (what === 'screen') track.contentHint = 'detail';
      track.addEventListener('ended', () => {
        if (this.#streams[what] === stream) this.#dispatch({ type: 'visual_ended', what });
      });
      stop(this.#streams[what]);
      this.#streams[what] = stream;
      await this.#put(what, track);
      if (what === 'screen') await this.#put('sound', stream.getAudioTracks()[0] ?? null);
      this.#dispatch({ type: 'visual_opened', what });
      if (what === 'camera') await this.#list(track.getSettings().deviceId ?? null);
    } catch (error) {
      if (turn === this.#turns[what]) this.#dispatch({ type: 'visual_failed', what, problem: problemOf(what, error) });
    }
  }

  close(what: What): void {
    this.#turns[what] += 1;
    stop(this.#streams[what]);
    this.#streams[what] = null;
    void this.#put(what, null);
    if (what === 'screen') void this.#put('sound', null);
  }

  async #list(device: string | null): Promise<void> {
    const all = await navigator.mediaDevices.enumerateDevices();
    const cameras: Device[] = all
      .filter((d) => d.kind === 'videoinput' && d.deviceId !== '')
      .map((d) => ({ id: d.deviceId, label: d.label }));
    this.#dispatch({ type: 'cameras_listed', cameras, device });
  }

  async #put(what: What | 'sound', track: MediaStreamTrack | null): Promise<void> {
    try {
      await this.#send(what, track);
    } catch (error) {
      // The connection was closed meanwhile: the next one takes the track by itself.
      if (!(error instanceof DOMException && error.name === 'InvalidStateError')) throw error;
    }
  }
}

// As it is: what cleans up a voice ruins music. Where a browser has no sound to share, there is none.
const SOUND: MediaTrackConstraints = {
  channelCount: 2,
  echoCancellation: false,
  noiseSuppression: false,
  autoGainControl: false,
};

function ask(what: What, device: string | null): Promise<MediaStream> {
  if (what === 'screen') return navigator.mediaDevices.getDisplayMedia({ video: { frameRate: 15 }, audio: SOUND });
  const chosen = device === null ? {} : { deviceId: { exact: device } };
  return navigator.mediaDevices.getUserMedia({
    video: { ...chosen, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 25 } },
  });
}

function stop(stream: MediaStream | null): void {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

function problemOf(what: What, error: unknown): VisualProblem | 'dismissed' {
  const name = error instanceof DOMException ? error.name : '';
  // A closed picker and a forbidden share have one name; a person who changed their mind needs no alarm.
  if (name === 'NotAllowedError' || name === 'SecurityError') return what === 'screen' ? 'dismissed' : 'denied';
  return name === 'NotFoundError' || name === 'OverconstrainedError' ? 'missing' : 'busy';
}
