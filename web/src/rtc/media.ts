/**
 * The media session: one listening slot and, where the role may speak, an empty sender.
 * The offer is the same for the whole meeting: languages change by message, the microphone by `replaceTrack`.
 */

export type MediaEvents = {
  /** The slot's sound; called once per media session, when the answer has been applied. */
  track: (stream: MediaStream) => void;
  connected: () => void;
  failed: () => void;
};

export class Media {
  #sends: boolean;
  #events: MediaEvents;
  #current: RTCPeerConnection | null = null;
  /** Offered, not yet answered: the current one plays on until then. */
  #next: RTCPeerConnection | null = null;
  #outgoing: MediaStreamTrack | null = null;

  constructor(sends: boolean, events: MediaEvents) {
    this.#sends = sends;
    this.#events = events;
  }

  get pc(): RTCPeerConnection | null {
    return this.#current;
  }

  /** A new connection's offer. Does not wait for candidates: the server is ICE-lite and ignores ours. */
  async offer(): Promise<string> {
    this.#next?.close();
    const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
    this.#next = pc;
    pc.addTransceiver('audio', { direction: 'recvonly' });
    if (this.#sends) pc.addTransceiver('audio', { direction: 'sendonly' });
    pc.addEventListener('connectionstatechange', () => {
      if (pc !== this.#current) return;
      if (pc.connectionState === 'connected') this.#events.connected();
      if (pc.connectionState === 'failed') this.#events.failed();
    });
    await pc.setLocalDescription();
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
    const slot = pc.getTransceivers()[0]?.receiver.track;
    if (slot !== undefined) this.#events.track(new MediaStream([slot]));
    await this.#put();
    if (pc.connectionState === 'connected') this.#events.connected();
  }

  /** The track that is sent, kept over a reconnection; null sends nothing, not even silence. */
  async send(track: MediaStreamTrack | null): Promise<void> {
    this.#outgoing = track;
    await this.#put();
  }

  async #put(): Promise<void> {
    if (!this.#sends || this.#current === null) return;
    await this.#current.getTransceivers()[1]?.sender.replaceTrack(this.#outgoing);
  }

  close(): void {
    this.#next?.close();
    this.#current?.close();
    this.#next = null;
    this.#current = null;
    this.#outgoing = null;
  }
}
