/** What a desk and a lectern share: the microphone's level and device, the channels, who may be heard. */

import { html, nothing, type TemplateResult } from 'lit';
import { t } from '../i18n.ts';
import { isHeard } from '../state/hearing.ts';
import type { Microphone } from '../state/microphone.ts';
import type { Session } from '../state/session.ts';
import type { Meeting } from '../wire.ts';
import { icon } from './icons.ts';
import { channelState, duration, languageOfTag, ownName, since, speakerName, voiceMark } from './parts.ts';
import type { Wave } from './meters.ts';

/** On a narrow page the door alone, with its word for screen readers. */
export const leave = (press: () => void): TemplateResult => html`<button class="act" id="leave" @click=${press}>
  ${icon('leave')}<span class="wide">${t('leave')}</span><span class="vh narrow">${t('leave')}</span>
</button>`;

/** Level, peak, scale and the last minute. Painted by `paintMicrophone`. */
export const levelMeter = (): TemplateResult => html`<div class="level">
  <p class="line">
    ${t('level')} <b class="num" data-db="rms">–</b> <span class="dim num">${t('level-peak')} <span data-db="peak">–</span></span>
    <span class="grow"></span><span class="clips" data-clips hidden></span>
  </p>
  <div class="led" aria-hidden="true"><i class="bg"></i><i class="on"></i><i class="pk"></i></div>
  <div class="scale" aria-hidden="true">
    ${[-60, -48, -36, -24, -12, -6, 0].map((db) => html`<span .style=${`inset-inline-start:${((db + 60) / 60) * 100}%`}>${signed(db)}</span>`)}
  </div>
  <kb-wave standing data-wave="history"></kb-wave>
  <p class="ends dim" aria-hidden="true"><span>${t('last-minute')}</span><span>${t('level-now')}</span></p>
</div>`;

/** A true minus sign: a hyphen is narrower than the digits. */
const signed = (db: number): string => String(Math.round(db)).replace('-', '−');

const LOWEST_DB = -60;
const percent = (db: number): number => Math.max(0, Math.min(100, ((db - LOWEST_DB) / -LOWEST_DB) * 100));

/** Moves the bar and the peak mark; the numbers only if `words`, for nobody reads twenty a second. */
export function paintMicrophone(root: ParentNode, rms_db: number, peak_db: number, words: boolean): void {
  const led = root.querySelector<HTMLElement>('.led');
  const [level, peak] = [`${Math.round(percent(rms_db))}%`, `${Math.round(percent(peak_db))}%`];
  // An unchanged bar is not painted again.
  if (led !== null && led.dataset.shown !== level + peak) {
    led.dataset.shown = level + peak;
    led.style.setProperty('--v', level);
    led.style.setProperty('--p', peak);
  }
  if (!words) return;
  const write = (name: string, db: number, unit: string): void => {
    const place = root.querySelector(`[data-db=${name}]`);
    if (place !== null) place.textContent = db <= LOWEST_DB ? '–' : `${signed(db)}${unit}`;
  };
  write('rms', rms_db, ' dB');
  write('peak', peak_db, '');
}

/** One bar of the last minute: the highest level in it and whether it was overloaded. */
export function paintHistory(root: ParentNode, peak_db: number, clip: boolean): void {
  const wave = root.querySelector<Wave>('kb-wave[data-wave=history]');
  wave?.push(peak_db, clip);
  const place = root.querySelector<HTMLElement>('[data-clips]');
  const count = wave?.clips(120) ?? 0;
  if (place === null || place.dataset.count === String(count)) return;
  place.dataset.count = String(count);
  place.hidden = count === 0;
  place.textContent = t('level-clips', { count });
}

/** The choice of the input, what is wrong with it, and processing that came back on. */
export function device(
  m: Microphone,
  choose: (device: string) => void,
  retry: () => void,
): TemplateResult {
  return html`<div class="device">
    <label class="field"
      >${icon('mic', true)}<span>${t('device')}</span>
      <select id="device" @change=${(e: Event) => choose((e.target as HTMLSelectElement).value)}>
        ${m.devices.length === 0 ? html`<option>${t('device-default')}</option>` : nothing}
        ${m.devices.map(
          (d, n) => html`<option value=${d.id} ?selected=${d.id === m.device}>
            ${d.label || `${t('microphone')} ${n + 1}`}
          </option>`,
        )}
      </select>
      ${icon('down', true)}
    </label>
    ${m.problem === null
      ? nothing
      : html`<p class="warn" role="alert">
          ${icon('alert')}<span>${t(`device-${m.problem}`)}</span>
          <button class="act" id="device-retry" @click=${retry}>${t('device-retry')}</button>
        </p>`}
    ${m.processing.length === 0
      ? nothing
      : html`<p class="warn">
          ${icon('alert')}<span
            >${t('processing-on', { what: m.processing.map((p) => t(`processing-${p}`)).join(', ') })}</span
          >
        </p>`}
  </div>`;
}

/** Every channel: what it carries now and for how many. `own` is marked. */
export function channelTable(meeting: Meeting, own: string | null): TemplateResult {
  return html`<ul class="channels">
    ${meeting.channels.map(
      (c) => html`<li data-own=${c.id === own ? 'yes' : 'no'}>
        <b class="cut">${ownName(c.language)}</b>${channelState(c)}
        <span class="count num" dir="auto" title=${t('listeners', { count: c.listeners })}
          >${icon('ears', true)}<span class="vh">${t('listeners', { count: c.listeners })}</span
          ><span aria-hidden="true">${c.listeners}</span></span
        >
      </li>`,
    )}
  </ul>`;
}

/** A name, however long, and whether it is the reader's own. */
export const who = (name: string, me: boolean): TemplateResult => html`<span class="who"
  ><b class="cut" dir="auto">${name}</b>${me ? html`<span class="dim">(${t('you')})</span>` : nothing}</span
>`;

/** Who is on the floor, in which language, for how long. */
export function floorList(meeting: Meeting, s: Session, now_ms: number): TemplateResult {
  const { speakers } = meeting.floor;
  if (speakers.length === 0) return html`<p class="none">${t('floor-empty')}</p>`;
  return html`<ul class="speakers">
    ${speakers.map(
      (p) => html`<li data-heard=${isHeard(s, p.participant) ? 'yes' : 'no'}>
        <span class="voice">${voiceMark(s, p.participant)}</span>
        ${who(speakerName(p), p.participant !== '' && p.participant === s.me?.participant)}
        <span class="dim">${ownName(languageOfTag(meeting, p.language))}</span>
        <span class="num dim">${duration(since(p.speaking_s, s, now_ms))}</span>
      </li>`,
    )}
  </ul>`;
}
