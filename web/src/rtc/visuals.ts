/** The speaker's camera and screen: opened when asked, given to the sender, stopped for good when closed. */

import type { VisualEvent } from '../state/visuals.ts';
import type { What } from '../wire.ts';

type Send = (what: What, track: MediaStreamTrack | null) => Promise<void>;

export class VisualSources {
  #streams: Record<What, MediaStream | null> = { camera: null, screen: null };
  #send: Send;
  #dispatch: (event: VisualEvent) => void;

  constructor(send: Send, dispatch: (event: VisualEvent) => void) {
    this.#send = send;
    this.#dispatch = dispatch;
  }

  stream(what: What): MediaStream | null {
    return this.#streams[what];
  }

  async open(what: What): Promise<void> {
    try {
      const stream = await (what === 'camera'
        ? navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 720, frameRate: 25 } })
        : navigator.mediaDevices.getDisplayMedia({ video: { frameRate: 15 }, audio: false }));
      const [track] = stream.getVideoTracks();
      if (track === undefined) throw new DOMException('no track', 'NotFoundError');
      // Slides are read, not watched: sharpness before motion.
      if (what === 'screen') track.contentHint = 'detail';
      track.addEventListener('ended', () => this.#dispatch({ type: 'visual_ended', what }));
      this.#streams[what] = stream;
      await this.#send(what, track);
      this.#dispatch({ type: 'visual_opened', what });
    } catch {
      this.#dispatch({ type: 'visual_failed', what });
    }
  }

  close(what: What): void {
    for (const track of this.#streams[what]?.getTracks() ?? []) track.stop();
    this.#streams[what] = null;
    void this.#send(what, null);
  }
}
