/** The microphone: opened without processing, measured by an analyser, given to the sender as it is. */

import type { Device, MicrophoneProblem } from '../state/microphone.ts';

export type Opened = { device: string | null; processing: string[] };

const PROCESSING = [
  ['echo', 'echoCancellation'],
  ['noise', 'noiseSuppression'],
  ['gain', 'autoGainControl'],
] as const;

export class Microphone {
  #stream: MediaStream | null = null;
  #context: AudioContext | null = null;
  #source: MediaStreamAudioSourceNode | null = null;
  #analyser: AnalyserNode | null = null;
  #echo: boolean;
  #ended: () => void;

  /** `echo`: cancel it, for a speaker without a headset. `ended`: the device went away. */
  constructor(echo: boolean, ended: () => void) {
    this.#echo = echo;
    this.#ended = ended;
  }

  get track(): MediaStreamTrack | null {
    return this.#stream?.getAudioTracks()[0] ?? null;
  }

  /** Opens `device` (null: the default) in place of the one before. Throws what `getUserMedia` throws. */
  async open(device: string | null): Promise<Opened> {
    // applyConstraints changes none of the three in Chromium and says nothing: the device is opened anew.
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: {
        ...(device === null ? {} : { deviceId: { exact: device } }),
        echoCancellation: this.#echo,
        noiseSuppression: false,
        autoGainControl: false,
      },
    });
    this.close();
    this.#stream = stream;
    const track = this.track;
    track?.addEventListener('ended', () => {
      if (track === this.track) this.#ended();
    });
    this.#context ??= new AudioContext({ sampleRate: 48000, latencyHint: 'interactive' });
    this.#context.resume().catch(() => undefined); // without a gesture it stays asleep: no meter, no harm
    this.#source = this.#context.createMediaStreamSource(stream);
    this.#analyser = new AnalyserNode(this.#context, { fftSize: 2048, smoothingTimeConstant: 0 });
    this.#source.connect(this.#analyser);
    const settings = track?.getSettings() ?? {};
    const processing = PROCESSING.filter(([name, key]) => settings[key] === true && !(name === 'echo' && this.#echo));
    return { device: settings.deviceId ?? null, processing: processing.map(([name]) => name) };
  }

  /** Microphones by name; the names are empty until one was opened. */
  async devices(): Promise<Device[]> {
    const all = await navigator.mediaDevices.enumerateDevices();
    return all
      .filter((d) => d.kind === 'audioinput' && d.deviceId !== '')
      .map((d) => ({ id: d.deviceId, label: d.label }));
  }

  /** RMS and peak of the last 43 ms, in dBFS, −100 at least. */
  measure(into: Float32Array<ArrayBuffer>): { rms_db: number; peak_db: number } {
    if (this.#analyser === null) return { rms_db: -100, peak_db: -100 };
    this.#analyser.getFloatTimeDomainData(into);
    let sum = 0;
    let peak = 0;
    for (const x of into) {
      sum += x * x;
      peak = Math.max(peak, Math.abs(x));
    }
    // Above full scale the encoder clips: 0 is what is heard.
    return { rms_db: decibels(Math.sqrt(sum / into.length)), peak_db: Math.min(0, decibels(peak)) };
  }

  close(): void {
    this.#source?.disconnect();
    this.#source = null;
    this.#analyser = null;
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
  }
}

const decibels = (x: number): number => (x <= 1e-5 ? -100 : 20 * Math.log10(x));

/** What to tell the person about a failed `open`. */
export function problemOf(error: unknown): MicrophoneProblem {
  const name = error instanceof DOMException ? error.name : '';
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'denied';
  return name === 'NotFoundError' || name === 'OverconstrainedError' ? 'missing' : 'busy';
}
