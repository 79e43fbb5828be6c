/** The hidden audio element that plays the slot. */

export class Player {
  #audio: HTMLAudioElement;
  #blocked: () => void;
  #started: () => void;

  constructor(blocked: () => void, started: () => void) {
    this.#audio = document.createElement('audio');
    this.#audio.autoplay = true;
    this.#audio.setAttribute('playsinline', '');
    this.#audio.hidden = true;
    this.#audio.id = 'slot';
    document.body.append(this.#audio);
    this.#blocked = blocked;
    this.#started = started;
    // A headset button may pause an endless live sound: say how to go on instead of staying silent.
    this.#audio.addEventListener('pause', () => {
      if (this.#audio.srcObject !== null && this.#audio.paused) this.#blocked();
    });
  }

  /** Inside the click, before there is a track: some browsers remember per element that it may play. */
  unlock(): void {
    this.#audio.srcObject = new MediaStream();
    this.#audio.play().catch(() => undefined); // settles only with the track
  }

  play(stream: MediaStream | null): void {
    if (stream !== null) this.#audio.srcObject = stream;
    this.#audio.play().then(this.#started, (error: unknown) => {
      // AbortError: a newer stream took its place and has its own answer.
      if (error instanceof DOMException && error.name === 'NotAllowedError') this.#blocked();
    });
  }

  setVolume(volume: number, muted: boolean): void {
    this.#audio.volume = volume;
    this.#audio.muted = muted;
  }

  stop(): void {
    this.#audio.srcObject = null;
  }
}
