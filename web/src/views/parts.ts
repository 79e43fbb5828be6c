/** Pieces that several pages show. Functions of values: no state of their own. */

import { html, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import { LOCALES, rich, t } from '../i18n.ts';
import { type Hearing, isHeard, linkState, type LinkState } from '../state/hearing.ts';
import type { Session } from '../state/session.ts';
import { type Channel, FLOOR, type Language, type Meeting, type Speaker } from '../wire.ts';
import { type Icon, icon } from './icons.ts';

/** A language under its own name, marked as being in it. */
export const ownName = (language: Language): TemplateResult =>
  html`<span lang=${language.tag} dir="auto">${language.autonym}</span>`;

/** The name of a listening channel: its own, or the translated "Original". */
export function channelName(meeting: Meeting | null, id: string | null): TemplateResult {
  const channel = meeting?.channels.find((c) => c.id === id);
  return channel === undefined ? html`${t('original')}` : ownName(channel.language);
}

/** The message `id` with a language's own name, in its own `lang`, at `{ $language }`. */
export const withLanguage = (id: string, language: Language): TemplateResult =>
  html`${rich(id, { language: ownName(language) })}`;

/** A person's name in its own direction. */
export const personName = (name: string): TemplateResult => html`<span dir="auto">${name}</span>`;

/** What a speaker speaks, under its own name if the meeting has a channel of it. */
export function languageOfTag(meeting: Meeting, tag: string): Language {
  if (meeting.floor.language.tag === tag) return meeting.floor.language;
  return meeting.channels.find((c) => c.language.tag === tag)?.language ?? { tag, autonym: tag };
}

const two = (n: number): string => String(n).padStart(2, '0');

/** 65 → "1:05", 3700 → "1:01:40". */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const rest = two(s % 60);
  return s < 3600
    ? `${Math.floor(s / 60)}:${rest}`
    : `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${rest}`;
}

/** Seconds of something whose length was `at_s` when the meeting's view arrived. */
export const since = (at_s: number, s: Session, now_ms: number): number =>
  at_s + Math.max(0, now_ms - s.meeting_at_ms) / 1000;

const LINK_ICONS: Record<LinkState, Icon> = {
  good: 'sig',
  connecting: 'sig',
  reconnecting: 'lost',
  poor: 'lost',
  lost: 'lost',
};

export function connection(s: Session): TemplateResult {
  const state = linkState(s);
  return html`<span class="net" data-state=${state} data-testid="connection">
    ${icon(LINK_ICONS[state])}<span><span class="wide">${t('connection')} </span><b>${t(`link-${state}`)}</b></span>
  </span>`;
}

/** A native select under the look of a quiet button: the keyboard and the phone's own picker come with it. */
export function localePicker(locale: string, host: EventTarget): TemplateResult {
  const choose = (event: Event): void => {
    const tag = (event.target as HTMLSelectElement).value;
    host.dispatchEvent(new CustomEvent('locale', { detail: tag }));
  };
  return html`<label class="quiet tongue">
    ${icon('globe')}<span class="vh">${t('ui-language')}</span>
    <select id="ui-language" @change=${choose}>
      ${LOCALES.map(
        (l) => html`<option value=${l.tag} lang=${l.tag} ?selected=${l.tag === locale}>${l.autonym}</option>`,
      )}</select
    >${icon('down', true)}
  </label>`;
}

export const brand = (): TemplateResult => html`<span class="brand">${icon('mark')}Kabina</span>`;

/** The first line of a card that stands alone: the name and the language of the words. */
export const cardTop = (locale: string, host: EventTarget): TemplateResult =>
  html`<div class="door-top"><p class="brand">${icon('mark')}Kabina</p>${localePicker(locale, host)}</div>`;

export const lamp = (kind: Hearing | 'reconnecting' | 'connecting'): TemplateResult =>
  html`<span class="lamp" id="lamp" data-state=${kind} data-testid="lamp">${t(`lamp-${kind}`)}</span>`;

const ROW_ICONS: Record<Channel['state'], Icon> = {
  spoken: 'live',
  interpreted: 'headset',
  passthrough: 'through',
};

/** "Interpreted", "Original for now" or "Spoken now", with its shape. */
export const channelState = (channel: Channel): TemplateResult =>
  html`<span class="st" data-state=${channel.state}>${icon(ROW_ICONS[channel.state], true)}${t(`state-${channel.state}`)}</span>`;

/** The radio group of the languages, "Original" first. `chosen` is marked; `pick` is told the other. */
export function channelList(
  meeting: Meeting,
  chosen: string | null,
  labelledby: string,
  pick: (channel: string) => void,
): TemplateResult {
  const { language } = meeting.floor;
  const row = (id: string, name: TemplateResult, state: TemplateResult): TemplateResult => html`<label class="row">
    <input
      type="radio"
      name="channel"
      value=${id}
      .checked=${live(id === chosen)}
      @change=${() => pick(id)}
    /><span class="dot"></span><span class="name cut">${name}</span>${state}
  </label>`;
  return html`<div class="pick" role="radiogroup" aria-labelledby=${labelledby}>
    ${row(
      FLOOR,
      html`${t('original')}`,
      html`<span class="st">${icon('live', true)}<span class="cut">${withLanguage('state-original', language)}</span></span>`,
    )}
    ${meeting.channels.map((c) => row(c.id, ownName(c.language), channelState(c)))}
  </div>`;
}

/** The volume of the audio element, 0–1 as per cent. */
export function volumeSlider(volume: number, muted: boolean, move: (volume: number) => void): TemplateResult {
  const percent = Math.round(volume * 100);
  const moved = (event: Event): void => move(Number((event.target as HTMLInputElement).value) / 100);
  return html`<label class="vol"
    ><span>${t('volume')}</span>
    <input
      type="range"
      id="volume"
      min="0"
      max="100"
      step="5"
      .value=${live(String(percent))}
      .style=${`--b:${muted ? 0 : percent}%`}
      @input=${moved}
    /><output class="num">${muted ? 0 : percent} %</output></label
  >`;
}

/** Shown where the browser refused to play without a tap. */
export const tapToHear = (press: () => void): TemplateResult => html`<div class="tap">
  <button class="btn big" id="tap" @click=${press}>${icon('play')}${t('tap-to-hear')}</button>
  <p>${t('tap-why')}</p>
</div>`;

/** The bars of a voice: flat while it is silent. The word for it is for who sees no bars. */
export const voiceMark = (s: Session, participant: string): TemplateResult =>
  isHeard(s, participant)
    ? html`${icon('live', true)}<span class="vh">${t('is-heard')}</span>`
    : icon('quiet', true);

export function speakerName(speaker: Speaker): string {
  return speaker.name === '' ? t('speaker') : speaker.name;
}
