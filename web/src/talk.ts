/** What the shells of the interpreter and the speaker share: the microphone, its meter and the M key. */

import { Microphone, problemOf } from './rtc/microphone.ts';
import { inside } from './state/kept.ts';
import type { MicrophoneEvent } from './state/microphone.ts';
import type { Session } from './state/session.ts';
import type { TalkerEffect } from './state/talker.ts';
import { paintHistory, paintMicrophone } from './views/desk.ts';

// A meter is smooth enough at 20 Hz; at every frame it costs a slow laptop more than the sound does.
const PAINT_MS = 50;
const WORDS_MS = 250;
// 120 bars are the last minute.
const HISTORY_MS = 500;
// A peak mark stays this long: long enough to be read.
const PEAK_HOLD_MS = 1500;
const CLIP_DB = -0.3;
// The bar rises at once and falls like a programme meter, else it flickers with every syllable.
const FALL_DB_PER_S = 30;

type Send = (track: MediaStreamTrack | null) => Promise<void>;

export class Talk {
  #microphone: Microphone;
  #root: HTMLElement;
  #dispatch: (event: MicrophoneEvent) => void;
  #send: Send;
  #sending = false;
  #buffer = new Float32Array(2048);
  #peak = { db: -100, at_ms: 0 };
  #shown = { db: -100, at_ms: 0 };
  #bar = { db: -100, at_ms: 0 };
  #words_at_ms = 0;
  /** Counts the openings: who left while the browser asked for permission must not be heard. */
  #turn = 0;
  #open_wanted = false;

  /** `echo`: cancel it. `send` puts a track into the sender. */
  constructor(root: HTMLElement, echo: boolean, dispatch: (event: MicrophoneEvent) => void, send: Send) {
    this.#root = root;
    this.#dispatch = dispatch;
    this.#send = send;
    this.#microphone = new Microphone(echo, () => dispatch({ type: 'microphone_failed', problem: 'missing' }));
    navigator.mediaDevices?.addEventListener('devicechange', () => void this.#list());
    setInterval(() => this.#paint(performance.now()), PAINT_MS);
  }

  run(effect: TalkerEffect): void {
    if (effect.do === 'open_microphone') void this.#open(effect.device);
    if (effect.do === 'send_microphone') void this.#put(true);
    if (effect.do === 'mute_microphone') void this.#put(false);
    if (effect.do === 'close_microphone') {
      this.#turn += 1;
      this.#open_wanted = false;
      this.#sending = false;
      this.#microphone.close();
    }
  }

  async #open(device: string | null): Promise<void> {
    this.#turn += 1;
    this.#open_wanted = true;
    const turn = this.#turn;
    try {
      const opened = await this.#microphone.open(device === '' ? null : device);
      if (turn !== this.#turn) {
        if (!this.#open_wanted) this.#microphone.close();
        return;
      }
      this.#dispatch({ type: 'microphone_opened', ...opened });
      await this.#list();
      // On air, a new device is heard at once.
      if (this.#sending) await this.#put(true);
    } catch (error) {
      this.#dispatch({ type: 'microphone_failed', problem: problemOf(error) });
    }
  }

  async #list(): Promise<void> {
    this.#dispatch({ type: 'devices_listed', devices: await this.#microphone.devices() });
  }

  async #put(on: boolean): Promise<void> {
    this.#sending = on;
    try {
      await this.#send(on ? this.#microphone.track : null);
    } catch (error) {
      // The connection was closed meanwhile: the next one takes the track by itself.
      if (!(error instanceof DOMException && error.name === 'InvalidStateError')) throw error;
    }
  }

  #paint(now_ms: number): void {
    if (this.#microphone.track === null || document.hidden) return;
    const { rms_db, peak_db } = this.#microphone.measure(this.#buffer);
    const fallen = this.#shown.db - (FALL_DB_PER_S * (now_ms - this.#shown.at_ms)) / 1000;
    this.#shown = { db: Math.max(rms_db, fallen, -100), at_ms: now_ms };
    if (peak_db > this.#peak.db || now_ms - this.#peak.at_ms > PEAK_HOLD_MS) {
      this.#peak = { db: peak_db, at_ms: now_ms };
    }
    const words = now_ms - this.#words_at_ms > WORDS_MS;
    if (words) this.#words_at_ms = now_ms;
    paintMicrophone(this.#root, this.#shown.db, this.#peak.db, words);
    this.#bar.db = Math.max(this.#bar.db, peak_db);
    if (now_ms - this.#bar.at_ms > HISTORY_MS) {
      paintHistory(this.#root, this.#bar.db, this.#bar.db > CLIP_DB);
      this.#bar = { db: -100, at_ms: now_ms };
    }
  }
}

/** M switches the microphone of whoever is in the meeting. */
export function onMicrophoneKey(session: () => Session, press: () => void): void {
  onKey('m', () => {
    if (inside(session())) press();
  });
}

/** A single letter as a key, except where letters are text. */
export function onKey(letter: string, press: () => void): void {
  document.addEventListener('keydown', (event) => {
    if (event.key.toLowerCase() !== letter || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target;
    if (at instanceof HTMLElement && at.matches('input:not([type=radio], [type=range]), textarea, select, [contenteditable]')) return;
    event.preventDefault();
    press();
  });
}
