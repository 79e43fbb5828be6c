/** The speaker's page: a lectern. One key to be heard, the language it is heard in, and who interprets. */

import { html, nothing, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import { t } from '../i18n.ts';
import type { Session } from '../state/session.ts';
import { languageOf, type Speaker, type SpeakerEvent } from '../state/speaker.ts';
import { ready } from '../state/talker.ts';
import { FLOOR, type Meeting, type What } from '../wire.ts';
import { channelTable, device, floorList, leave, levelMeter } from './desk.ts';
import { door, skipTo } from './entry.ts';
import { icon } from './icons.ts';
import './meters.ts';
import { Page } from './page.ts';
import { showing } from './showing.ts';
import {
  brand,
  cardTop,
  connection,
  duration,
  languageOfTag,
  localePicker,
  ownName,
  tapToHear,
  volumeSlider,
  withLanguage,
} from './parts.ts';

export class SpeakPage extends Page<Speaker, SpeakerEvent> {
  static override properties = { ...Page.properties, own: { attribute: false } };
  /** What this person shows, for their own eyes. */
  declare own: Record<What, MediaStream | null> | undefined;

  protected override session(): Session {
    return this.state.talker.session;
  }

  protected override again(): SpeakerEvent {
    return { type: 'enter_pressed' };
  }

  protected override view(meeting: Meeting): TemplateResult {
    return this.session().phase === 'outside' ? this.door(meeting) : this.lectern(meeting);
  }

  private door(meeting: Meeting): TemplateResult {
    const chosen = languageOf(this.state);
    return door({
      id: 'join',
      top: cardTop(this.locale, this),
      title: meeting.title,
      meta: nothing,
      choice: html`<div class="sub"><h2 id="speak-in">${t('speak-in')}</h2><p>${t('change-later')}</p></div>
        <div class="pick" role="radiogroup" aria-labelledby="speak-in">
          ${meeting.channels.map(
            (c) => html`<label class="row">
              <input
                type="radio"
                name="language"
                value=${c.language.tag}
                .checked=${live(c.language.tag === chosen)}
                @change=${() => this.emit({ type: 'language_chosen', language: c.language.tag })}
              /><span class="dot"></span><span class="name cut">${ownName(c.language)}</span>
            </label>`,
          )}
        </div>`,
      notes: [['mic_off', t('enter-hint-speaker')]],
      button: html`<button class="btn big" id="enter" data-testid="enter" type="submit">${icon('mic')}${t('enter-room')}</button>`,
      enter: () => this.emit({ type: 'enter_pressed' }),
    });
  }

  private readonly skip = skipTo(this, '.key');

  private lectern(meeting: Meeting): TemplateResult {
    const { session } = this.state.talker;
    return html`<div class="console">
      <a class="skip" href="#voice" @click=${this.skip}>${t('skip-to-controls')}</a>
      <header class="top">
        ${brand()}
        <div class="title"><h1 class="cut" dir="auto">${meeting.title}</h1></div>
        ${connection(session)} ${localePicker(this.locale, this)}
        ${leave(() => this.emit({ type: 'leave_pressed' }))}
      </header>
      <main class="desk lectern">
        ${this.voice(meeting)}
        <div class="team">${showing(this.state.visuals, this.own, this.emit)} ${this.floor(meeting)} ${this.interpreted(meeting)} ${this.headphones(meeting)}</div>
      </main>
    </div>`;
  }

  private voice(meeting: Meeting): TemplateResult {
    const { microphone, held_since_ms, refusal } = this.state.talker;
    const time =
      held_since_ms === null
        ? nothing
        : html`<b class="num">${duration((this.now_ms - held_since_ms) / 1000)}</b>`;
    return html`<section class="card out-panel" id="voice" aria-labelledby="voice-h">
      <div class="head">${icon('mic')}<h2 id="voice-h">${t('microphone')}</h2><span class="grow"></span>${time}</div>
      <div class="keys">${this.key(meeting)} ${this.language(meeting)}</div>
      ${refusal === null
        ? nothing
        : html`<p class="warn refused" id="refusal">${icon('alert')}<span>${t('refusal-floor')}</span></p>`}
      ${levelMeter()}
      ${device(
        microphone,
        (id) => this.emit({ type: 'device_chosen', device: id }),
        () => this.emit({ type: 'device_chosen', device: microphone.device ?? '' }),
      )}
    </section>`;
  }

  /** One key whose name is what it will do: the focus stays while it changes. */
  private key(meeting: Meeting): TemplateResult {
    const { hold } = this.state.talker;
    const language = languageOfTag(meeting, languageOf(this.state));
    const on = hold === 'on';
    const [word, hint] = on
      ? [t('floor-on'), withLanguage('floor-on-hint', language)]
      : hold === 'waiting'
        ? [t('mic-waiting'), html`${t('mic-waiting-hint')}`]
        : hold === 'taking' || hold === 'retaking'
          ? [t('mic-taking'), html`${ownName(language)}`]
          : [t('floor-off'), html`${t('floor-off-hint')}`];
    const holding = hold !== 'off' && hold !== 'cancelling' && hold !== 'releasing';
    return html`<button
      class="key mic"
      id=${holding ? 'release-floor' : 'take-floor'}
      data-testid="floor"
      data-hold=${hold}
      aria-keyshortcuts="M"
      ?disabled=${hold === 'off' && !ready(this.state.talker)}
      @click=${() => this.emit({ type: 'hold_pressed' })}
    >
      <span class="key-top">${icon(on ? 'mic_on' : hold === 'off' ? 'mic_off' : 'mic')}<kbd aria-hidden="true">M</kbd></span>
      <span class="key-foot">
        <span><b>${word}</b><small>${hint}</small></span>
        <span class="does">${t(holding ? 'release-floor' : 'take-floor')}</span>
      </span>
    </button>`;
  }

  private language(meeting: Meeting): TemplateResult {
    const chosen = languageOf(this.state);
    const free = this.state.talker.hold === 'off';
    const choose = (e: Event): void =>
      this.emit({ type: 'language_chosen', language: (e.target as HTMLSelectElement).value });
    return html`<label class="outlet tongue-now">
      <span class="dim">${t('speak-in')}</span>
      <select id="language" ?disabled=${!free} @change=${choose}>
        ${meeting.channels.map(
          (c) => html`<option value=${c.language.tag} lang=${c.language.tag} ?selected=${c.language.tag === chosen}>
            ${c.language.autonym}
          </option>`,
        )}
      </select>
      ${icon('down')}
    </label>`;
  }

  private floor(meeting: Meeting): TemplateResult {
    return html`<section class="card" aria-labelledby="floor-h">
      <div class="head">${icon('live')}<h2 id="floor-h">${t('on-the-floor')}</h2></div>
      ${floorList(meeting, this.state.talker.session, this.now_ms)}
    </section>`;
  }

  private interpreted(meeting: Meeting): TemplateResult {
    return html`<section class="card" aria-labelledby="into-h">
      <div class="head">${icon('headset')}<h2 id="into-h">${t('interpreted-into')}</h2></div>
      ${channelTable(meeting, null)}
    </section>`;
  }

  /** Off at first: a loudspeaker beside an open microphone echoes in every channel. */
  private headphones(meeting: Meeting): TemplateResult {
    const { hears, talker } = this.state;
    const choose = (e: Event): void => {
      const { value } = e.target as HTMLSelectElement;
      this.emit({ type: 'hearing_chosen', channel: value === '' ? null : value });
    };
    return html`<section class="card" aria-labelledby="hear-h">
      <div class="head">${icon('ears')}<h2 id="hear-h">${t('hear-in')}</h2></div>
      <div class="set">
        <label class="field"
          ><span class="vh">${t('hear-in')}</span>
          <select id="hear" @change=${choose}>
            <option value="" ?selected=${hears === null}>${t('hear-nothing')}</option>
            <option value=${FLOOR} ?selected=${hears === FLOOR}>${t('original')}</option>
            ${meeting.channels.map(
              (c) => html`<option value=${c.id} lang=${c.language.tag} ?selected=${hears === c.id}>
                ${c.language.autonym}
              </option>`,
            )}
          </select>
          ${icon('down', true)}
        </label>
        <p class="dim">${t('hear-hint')}</p>
        ${hears === null
          ? nothing
          : volumeSlider(talker.volume, false, (v) => this.emit({ type: 'volume_moved', volume: v }))}
        ${talker.blocked && hears !== null ? tapToHear(() => this.emit({ type: 'play_pressed' })) : nothing}
      </div>
    </section>`;
  }

  override updated(): void {
    const { session, hold } = this.state.talker;
    const parts = [hold === 'on' ? t('floor-on') : '', session.meeting?.title ?? '', 'Kabina'];
    document.title = parts.filter((s) => s !== '').join(' · ');
  }
}
customElements.define('kb-speak', SpeakPage);
