/**
 * The shell of a meeting page: owns the clock, the randomness, the socket and the media; runs effects and
 * feeds what happened back as events. All decisions are in `state/`.
 */

import { leaveKeepsake, newInstance, takeKeepsake } from './keepsake.ts';
import { LOCALES, type Locale, preferredLocale, t, useLocale } from './i18n.ts';
import { Media, type Sends } from './rtc/media.ts';
import { Player } from './rtc/player.ts';
import { watchTiles } from './rtc/tiles.ts';
import { isFinal } from './state/ending.ts';
import type { Kept } from './state/kept.ts';
import type { Session, SessionEffect, SessionEvent } from './state/session.ts';
import { meetingOfPath, readLink } from './state/token.ts';
import type { Page } from './views/page.ts';
import { type ClientMessage, decodeMeeting, decodeRefusal, type Levels, type Meeting } from './wire.ts';
import { Socket } from './ws/socket.ts';
import type { Wait } from './ws/backoff.ts';

export type SoundEffect =
  | { do: 'unlock_sound' }
  | { do: 'play' }
  | { do: 'set_volume'; volume: number; muted: boolean };
type Shared = SessionEffect | SoundEffect;
type SharedEvent =
  | SessionEvent
  | { type: 'playback_blocked' }
  | { type: 'playback_started' }
  | { type: 'page_restored'; kept: Kept };

export type Program<S, E, F> = {
  create: (token: string, languages: string[]) => S;
  update: (state: S, event: E) => [S, (F | Shared)[]];
  session: (state: S) => Session;
  /** What a reload must not lose; null before the join and after the end. */
  keep: (state: S) => Kept | null;
  /** The roles the page is for; empty: all. */
  roles: readonly string[];
  /** What the role may send. */
  sends: Sends;
  /** Runs the page's own effects. */
  run: (effect: F) => void;
  levels: (levels: Levels | null) => void;
  changed: (state: S) => void;
};

declare global {
  interface Window {
    /** For tests only, read-only: end-to-end tests measure `pc.getStats()` and look at the state. */
    kabina?: { readonly pc: RTCPeerConnection | null; readonly state: unknown };
  }
}

const SHARED = new Set<string>([
  'open_socket',
  'close_socket',
  'send',
  'retry_in',
  'make_offer',
  'offer_in',
  'apply_answer',
  'close_media',
  'announce',
  'unlock_sound',
  'play',
  'set_volume',
]);
// Levels come every 100 ms; later than this they have stopped.
const LEVELS_STALE_MS = 600;
const POLL_MS = 3000;
const SILENT_MS = 12_000;

export class Shell<S, E extends { type: string }, F extends { do: string }> {
  readonly media: Media;
  #program: Program<S, E, F>;
  #page: Page<S, E>;
  #socket: Socket;
  #player: Player;
  #levels_at_ms = 0;
  #heard_at_ms = 0;
  #silent_ticks = 0;
  #state: S;
  #meeting = meetingOfPath(location.pathname);
  /** The address this page was opened with: the bar may hold another one by the time the page goes. */
  #link = location.href;
  #keepsake = takeKeepsake();
  /** What this tab calls itself: the server gives its seat back to nobody else. */
  #instance = this.#keepsake?.instance ?? newInstance();

  constructor(page: Page<S, E>, program: Program<S, E, F>) {
    this.#page = page;
    this.#program = program;
    const link = readLink(location.hash, this.#meeting, program.roles);
    this.#state = link.ok ? program.create(link.token, link.claims.languages) : program.create('', []);
    if (link.ok) void this.#poll(link.token);
    else page.problem = link.problem;
    this.#player = new Player(
      () => this.#shared({ type: 'playback_blocked' }),
      () => this.#shared({ type: 'playback_started' }),
    );
    this.media = new Media(program.sends, {
      track: (stream) => this.#player.play(stream),
      pictures: (streams) => {
        this.#page.pictures = streams;
      },
      connected: () => this.#shared({ type: 'media_connected' }),
      failed: () => this.#shared({ type: 'media_failed' }),
    });
    this.#socket = new Socket({
      opened: () => {
        this.#heard_at_ms = Date.now();
        this.#shared({ type: 'socket_opened' });
      },
      closed: (code) => this.#shared({ type: 'socket_closed', code }),
      message: (message) => {
        this.#heard_at_ms = Date.now();
        this.#silent_ticks = 0;
        // Ten times a second and only painted: no business of `update`.
        if (message.type === 'levels') {
          this.#levels_at_ms = Date.now();
          program.levels(message);
        } else this.#shared({ type: 'message_received', message, now_ms: Date.now() });
      },
    });
    const view = Object.defineProperties({} as NonNullable<Window['kabina']>, {
      pc: { get: () => this.media.pc },
      state: { get: () => this.#state },
    });
    Object.defineProperty(window, 'kabina', { value: Object.freeze(view) });
    // A new link pasted over the old one changes the fragment alone, which loads nothing by itself.
    window.addEventListener('hashchange', () => location.reload());
    window.addEventListener('online', () => this.#shared({ type: 'network_returned' }));
    window.addEventListener('pagehide', () => {
      const kept = program.keep(this.#state);
      if (kept !== null) leaveKeepsake(this.#instance, this.#link, kept);
      this.#socket.close();
    });
    window.addEventListener('pageshow', (event) => {
      if (!event.persisted) return;
      takeKeepsake(); // this page still knows who it is
      // Back from the browser's page cache, where sockets do not live.
      this.#shared({ type: 'socket_closed', code: 1001 });
    });
    page.addEventListener('kabina', (event) => this.dispatch((event as CustomEvent<E>).detail));
    watchTiles(page, (tiles) => this.#shared({ type: 'tiles_measured', tiles }));
    page.addEventListener('locale', (event) => void this.#speak((event as CustomEvent<string>).detail, true));
    page.state = this.#state;
    page.now_ms = Date.now();
    setInterval(() => this.#tick(), 250);
    void this.#speak(preferredLocale(), false);
  }

  /** Once the page can run its effects: back to where it was before a reload. */
  restore(): void {
    if (this.#keepsake !== null && this.#page.problem === undefined) {
      this.#shared({ type: 'page_restored', kept: this.#keepsake.kept });
    }
  }

  get state(): S {
    return this.#state;
  }

  dispatch(event: E): void {
    const [state, effects] = this.#program.update(this.#state, event);
    this.#state = state;
    for (const effect of effects) this.#run(effect);
    this.#page.state = state;
    this.#program.changed(state);
  }

  /** Before the first click the card of the page is kept true by asking every few seconds. */
  async #poll(token: string): Promise<void> {
    if (this.#program.session(this.#state).phase === 'outside') {
      const answer = await this.#fetchMeeting(token);
      if (typeof answer === 'string') this.#shared({ type: 'meeting_refused', code: answer });
      else if (answer !== null) this.#shared({ type: 'meeting_fetched', meeting: answer, now_ms: Date.now() });
    }
    const { phase, ending } = this.#program.session(this.#state);
    if (phase === 'ended' && isFinal(ending ?? '')) return;
    setTimeout(() => void this.#poll(token), POLL_MS);
  }

  /** `GET /api/meetings/{meeting}`: the view, the code of a final refusal, null when it cannot be had now. */
  async #fetchMeeting(token: string): Promise<Meeting | string | null> {
    try {
      const response = await fetch(`/api/meetings/${encodeURIComponent(this.#meeting)}`, {
        headers: { Authorization: `Bearer ${token}` },
      });
      const body = await response.text();
      if (response.ok) return decodeMeeting(body);
      const code = decodeRefusal(body);
      return code !== null && isFinal(code) ? code : null;
    } catch {
      return null; // offline, or the server restarts: the next poll asks again
    }
  }

  #shared(event: SharedEvent): void {
    this.dispatch(event as unknown as E); // every page's events include the shared ones
  }

  async #speak(tag: string, remember: boolean): Promise<void> {
    const known = LOCALES.find((l) => l.tag === tag);
    if (known === undefined) return;
    await useLocale(known.tag satisfies Locale, remember);
    this.#page.locale = known.tag;
    this.#program.changed(this.state);
  }

  #tick(): void {
    const now = Date.now();
    this.#watchSocket(now);
    if (now - this.#levels_at_ms > LEVELS_STALE_MS) this.#program.levels(null);
    // The views show seconds; rendering at 4 Hz keeps them even.
    if (Math.floor(now / 1000) !== Math.floor(this.#page.now_ms / 1000)) this.#page.now_ms = now;
  }

  /** The server sends a frame every 4 s at least: without any, the path is dead though nobody said so. */
  #watchSocket(now: number): void {
    const silent = this.#program.session(this.#state).phase === 'live' && now - this.#heard_at_ms > SILENT_MS;
    // Twice, for after a sleep the first tick comes before the frames that waited.
    this.#silent_ticks = silent ? this.#silent_ticks + 1 : 0;
    if (this.#silent_ticks < 2) return;
    this.#heard_at_ms = now;
    this.#socket.close();
    this.#shared({ type: 'socket_closed', code: 1006 });
  }

  #later(wait: Wait, event: SharedEvent): void {
    setTimeout(() => this.#shared(event), wait.base_ms + Math.random() * wait.spread_ms);
  }

  #run(effect: F | Shared): void {
    if (!SHARED.has(effect.do)) {
      this.#program.run(effect as F);
      return;
    }
    const shared = effect as Shared;
    switch (shared.do) {
      case 'open_socket':
        return this.#socket.open();
      case 'close_socket':
        return this.#socket.close();
      case 'send':
        return this.#socket.send(this.#named(shared.message));
      case 'retry_in':
        return this.#later(shared.wait, { type: 'retry_due' });
      case 'offer_in':
        return this.#later(shared.wait, { type: 'offer_due' });
      case 'make_offer':
        return void this.#offer();
      case 'apply_answer':
        return void this.media.answer(shared.sdp).catch(() => this.#shared({ type: 'media_failed' }));
      case 'close_media':
        this.#player.stop();
        return this.media.close();
      case 'announce':
        return this.#page.say(t(shared.text, shared.args));
      case 'unlock_sound':
        return this.#player.unlock();
      case 'play':
        return this.#player.play(null);
      case 'set_volume':
        return this.#player.setVolume(shared.volume, shared.muted);
    }
  }

  #named(message: ClientMessage & { id?: number }): ClientMessage & { id?: number } {
    return message.type === 'hello' ? { ...message, instance: this.#instance } : message;
  }

  async #offer(): Promise<void> {
    try {
      this.#shared({ type: 'offer_made', sdp: await this.media.offer(this.#program.session(this.#state).ice_servers) });
    } catch {
      this.#shared({ type: 'media_failed' });
    }
  }
}
