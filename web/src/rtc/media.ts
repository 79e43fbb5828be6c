/**
 * The media session: a listening slot, two picture slots, and empty senders for what the role may send.
 * The offer is the same for the whole meeting: languages and pictures change by message, tracks by `replaceTrack`.
 */

import type { IceServer, What } from '../wire.ts';
import { waitForRepairs } from './patience.ts';
import { inStereo } from './stereo.ts';

/** What the page may send. */
export type Sends = 'nothing' | 'voice' | 'voice_and_pictures';
/** `sound`: the shared screen's. */
export type Outgoing = 'voice' | What | 'sound';

export type MediaEvents = {
  /** The slot's sound; called once per media session, when the answer has been applied. */
  track: (stream: MediaStream) => void;
  /** The two picture slots, then too. */
  pictures: (streams: Record<What, MediaStream>) => void;
  connected: () => void;
  failed: () => void;
};

// The order is the protocol's: by it the server knows what a section is for.
const SENT = { voice: 3, camera: 4, screen: 5, sound: 6 } as const;
const NOTHING_SENT: Record<Outgoing, null> = { voice: null, camera: null, screen: null, sound: null };
// A quarter, a half and the whole: the server sends each listener the smallest that fills the tile.
const CAMERA_LAYERS: RTCRtpEncodingParameters[] = [
  { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
  { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
  { rid: 'f', maxBitrate: 1_500_000 },
];
const SCREEN_BITRATE = 2_500_000;

export class Media {
  #sends: Sends;
  #events: MediaEvents;
  #current: RTCPeerConnection | null = null;
  /** Offered, not yet answered: the current one plays on until then. */
  #next: RTCPeerConnection | null = null;
  #outgoing: Record<Outgoing, MediaStreamTrack | null> = NOTHING_SENT;

  constructor(sends: Sends, events: MediaEvents) {
    this.#sends = sends;
    this.#events = events;
  }

  get pc(): RTCPeerConnection | null {
    return this.#current;
  }

  /** A new connection's offer. Does not wait for candidates: the server is ICE-lite and ignores ours. */
  async offer(iceServers: readonly IceServer[]): Promise<string> {
    this.#next?.close();
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', iceServers: [...iceServers] });
    this.#next = pc;
    pc.addTransceiver('audio', { direction: 'recvonly' });
    pc.addTransceiver('video', { direction: 'recvonly' });
    pc.addTransceiver('video', { direction: 'recvonly' });
    if (this.#sends !== 'nothing') pc.addTransceiver('audio', { direction: 'sendonly' });
    if (this.#sends === 'voice_and_pictures') {
      pc.addTransceiver('video', { direction: 'sendonly', sendEncodings: CAMERA_LAYERS });
      pc.addTransceiver('video', { direction: 'sendonly', sendEncodings: [{ maxBitrate: SCREEN_BITRATE }] });
      pc.addTransceiver('audio', { direction: 'sendonly' });
    }
    pc.addEventListener('connectionstatechange', () => {
      if (pc !== this.#current) return;
      if (pc.connectionState === 'connected') this.#events.connected();
      if (pc.connectionState === 'failed') this.#events.failed();
    });
    const { sdp = '' } = await pc.createOffer();
    await pc.setLocalDescription({ type: 'offer', sdp: inStereo(sdp, [SENT.sound]) });
    return pc.localDescription?.sdp ?? '';
  }

  async answer(sdp: string): Promise<void> {
    const pc = this.#next;
    if (pc === null) return;
    await pc.setRemoteDescription({ type: 'answer', sdp });
    // Left, or offered again, while the browser worked.
    if (pc !== this.#next) return;
    this.#next = null;
    this.#current?.close();
    this.#current = pc;
    // Who speaks learns the round trip from reports about what they send, and needs the sound soon.
    if (this.#sends === 'nothing') waitForRepairs(pc);
    const [voice, camera, screen] = pc.getTransceivers().map((one) => one.receiver.track);
    if (voice !== undefined) this.#events.track(new MediaStream([voice]));
    if (camera !== undefined && screen !== undefined) {
      this.#events.pictures({ camera: new MediaStream([camera]), screen: new MediaStream([screen]) });
    }
    for (const what of Object.keys(this.#outgoing) as Outgoing[]) await this.#put(what);
    if (pc.connectionState === 'connected') this.#events.connected();
  }

  /** The track that is sent, kept over a reconnection; null sends nothing, not even silence. */
  async send(what: Outgoing, track: MediaStreamTrack | null): Promise<void> {
    this.#outgoing = { ...this.#outgoing, [what]: track };
    await this.#put(what);
  }

  async #put(what: Outgoing): Promise<void> {
    await this.#current?.getTransceivers()[SENT[what]]?.sender.replaceTrack(this.#outgoing[what]);
  }

  close(): void {
    this.#next?.close();
    this.#current?.close();
    this.#next = null;
    this.#current = null;
    this.#outgoing = NOTHING_SENT;
  }
}
