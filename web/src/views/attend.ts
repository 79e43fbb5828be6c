/** The attendee's page: who speaks, what I hear, which language. */

import { html, nothing, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import { t } from '../i18n.ts';
import type { Attendee, AttendeeEvent } from '../state/attendee.ts';
import { autonym, dominantFirst, type Hearing, hearing, isHeard } from '../state/hearing.ts';
import type { Session } from '../state/session.ts';
import { type Channel, type Meeting, ORIGINAL_LEVELS, type OriginalDb } from '../wire.ts';
import { door, skipTo } from './entry.ts';
import { icon } from './icons.ts';
import { Page } from './page.ts';
import {
  brand,
  cardTop,
  channelList,
  channelName,
  connection,
  duration,
  lamp,
  languageOfTag,
  localePicker,
  ownName,
  since,
  speakerName,
  tapToHear,
  voiceMark,
  volumeSlider,
  withLanguage,
} from './parts.ts';
import { hasStage, places, stage } from './stage.ts';
import './meters.ts';

const ORIGINAL_WORDS: Record<OriginalDb, string> = { off: 'off', '-24': 'quiet', '-18': 'normal', '-12': 'louder', 0: 'full' };
const decibels = (level: OriginalDb): string => (level === 'off' ? '−∞ dB' : `${String(level).replace('-', '−')} dB`);

export class AttendPage extends Page<Attendee, AttendeeEvent> {
  protected override session(): Session {
    return this.state.session;
  }

  protected override again(): AttendeeEvent {
    return { type: 'listen_pressed' };
  }

  protected override view(meeting: Meeting): TemplateResult {
    const { session, has_left } = this.state;
    if (session.phase !== 'outside') return this.inside(meeting);
    return has_left ? this.left() : this.door(meeting);
  }

  private left(): TemplateResult {
    return this.notice(
      t('left-title'),
      t('left-text'),
      html`<button class="btn big" id="return" @click=${() => this.emit({ type: 'return_pressed' })}>
        ${icon('ears')}${t('left-again')}
      </button>`,
    );
  }

  private door(meeting: Meeting): TemplateResult {
    const { choice } = this.state;
    return door({
      id: 'join',
      top: cardTop(this.locale, this),
      title: meeting.title,
      meta: this.speaking(meeting),
      choice: html`<div class="sub"><h2 id="listen-in">${t('listen-in')}</h2><p>${t('change-later')}</p></div>
        ${channelList(meeting, choice, 'listen-in', (channel) => this.emit({ type: 'choice_made', channel }))}`,
      notes: [['mic_none', t('no-microphone-needed')]],
      button: html`<button class="btn big" id="listen" data-testid="listen" type="submit">
        ${icon('ears')}<span>${this.listenTo(meeting, choice)}</span>
      </button>`,
      enter: () => this.emit({ type: 'listen_pressed' }),
    });
  }

  private listenTo(meeting: Meeting, choice: string | null): TemplateResult {
    const language = meeting.channels.find((c) => c.id === choice)?.language;
    return language === undefined
      ? html`${t('listen-to', { language: t('original') })}`
      : withLanguage('listen-to', language);
  }

  /** One line: who has the floor. */
  private speaking(meeting: Meeting): TemplateResult {
    const speaker = meeting.floor.speakers[0];
    if (speaker === undefined) return html`<p class="meta">${t('nobody-speaks')}</p>`;
    const language = languageOfTag(meeting, speaker.language);
    return html`<p class="meta"><span dir="auto">${speakerName(speaker)}</span> ${withLanguage('speaks', language)}</p>`;
  }

  private inside(meeting: Meeting): TemplateResult {
    const attendee = this.state;
    const seen = hasStage(meeting) && !attendee.sound_only;
    return html`<div class="app">
      <a class="skip" href="#languages" @click=${this.skip}>${t('skip-to-languages')}</a>
      <header class="top">
        <span class="wide">${brand()}</span>
        <div class="title"><h1 class="cut" dir="auto">${meeting.title}</h1></div>
        ${connection(attendee.session)} ${localePicker(this.locale, this)}
      </header>
      <main class="attend">
        <div class="look" data-stage=${seen ? 'yes' : 'no'} data-places=${seen ? places(meeting) : 0}>
          ${seen ? stage(meeting, attendee.session, this.pictures) : nothing} ${this.floor(meeting)}
          ${this.interpretation(meeting)}
        </div>
        <div class="listen">${this.hear(meeting)} ${this.languages(meeting)}</div>
      </main>
      ${this.bar(meeting)}
    </div>`;
  }

  private readonly skip = skipTo(this, '#languages input:checked', '#languages input');

  private floor(meeting: Meeting): TemplateResult {
    const { session } = this.state;
    const [first, ...others] = dominantFirst(meeting.floor.speakers, session.speaking.dominant);
    const line =
      first === undefined
        ? html`<h2 class="quiet-floor">${t('nobody-speaks')}</h2>
            <p class="lang">${t('nobody-speaks-hint')}</p>`
        : html`<h2 class="cut" dir="auto">${speakerName(first)}</h2>
            <p class="lang cut">
              ${withLanguage('speaks', languageOfTag(meeting, first.language))}
              <span class="num">${duration(since(first.speaking_s, session, this.now_ms))}</span>
            </p>`;
    return html`<section class="card floor" aria-label=${t('now-speaking')} data-live=${first === undefined ? 'no' : 'yes'}>
      <div class="floor-h">
        <p class="label">${first === undefined ? icon('quiet', true) : voiceMark(session, first.participant)}${t(first === undefined ? 'on-the-floor' : 'now-speaking')}</p>
        ${line}
      </div>
      <kb-wave data-wave="floor"></kb-wave>
      ${others.length === 0
        ? nothing
        : html`<ul class="others">
            ${others.map(
              (s) => html`<li class="cut" data-heard=${isHeard(session, s.participant) ? 'yes' : 'no'}>
                ${voiceMark(session, s.participant)}<span dir="auto">${speakerName(s)}</span>
                <span class="lang">${withLanguage('speaks', languageOfTag(meeting, s.language))}</span>
              </li>`,
            )}
          </ul>`}
    </section>`;
  }

  /** From the floor's language into which, and by whom. */
  private interpretation(meeting: Meeting): TemplateResult | typeof nothing {
    const into = meeting.channels.filter((c) => c.state !== 'spoken');
    if (into.length === 0) return nothing;
    return html`<section class="card relay wide" aria-labelledby="relay-h">
      <div class="relay-h"><h2 id="relay-h">${t('interpretation-now')}</h2></div>
      <ul>
        ${into.map((c) => this.into(meeting, c))}
      </ul>
    </section>`;
  }

  private into(meeting: Meeting, channel: Channel): TemplateResult {
    const { session } = this.state;
    const on = channel.on_air[0];
    const who =
      on === undefined
        ? html`<span class="cut">${t('state-passthrough')}</span>`
        : html`<span class="cut" dir="auto">${on.name === '' ? t('interpreter') : on.name}</span>
            <span class="num">${duration(since(on.on_air_s, session, this.now_ms))}</span>`;
    return html`<li data-state=${channel.state}>
      <p class="pair">
        ${ownName(meeting.floor.language)}${icon('arrow', true)}<b>${ownName(channel.language)}</b>
      </p>
      <p class="by">${icon(on === undefined ? 'through' : 'headset', true)}${who}</p>
    </li>`;
  }

  private hear(meeting: Meeting): TemplateResult {
    const { session, volume, muted, blocked } = this.state;
    const kind = hearing(meeting, session.channel);
    const shown =
      session.phase === 'reconnecting' || session.media === 'lost'
        ? 'reconnecting'
        : session.media === 'connected' || session.media === 'stalled'
          ? kind
          : 'connecting';
    return html`<section class="card hear" aria-label=${t('you-hear')}>
      <div class="hear-a"><p>${t('you-hear')}</p>${lamp(shown)}</div>
      <div class="hear-b">
        <h2 id="now" class="cut" data-testid="now">${channelName(meeting, session.channel)}</h2>
        <div class="lanes" aria-hidden="true">
          <span class=${kind === 'interpreted' ? '' : 'dim'}>${t('lane-interpreter')}</span
          ><span class="lane" data-lane="interpreter"></span><span>${t('lane-original')}</span
          ><span class="lane grey" data-lane="original"></span>
        </div>
      </div>
      ${this.underneath(meeting, kind)}
      ${blocked ? tapToHear(() => this.emit({ type: 'play_pressed' })) : nothing}
      <div class="sound">
        <button
          class="quiet ear"
          id="mute"
          aria-pressed=${muted}
          aria-label=${t('mute')}
          @click=${() => this.emit({ type: 'mute_pressed' })}
        >
          ${icon(muted || volume === 0 ? 'silent' : 'volume')}
        </button>
        ${volumeSlider(volume, muted, (v) => this.emit({ type: 'volume_moved', volume: v }))}
      </div>
    </section>`;
  }

  /** How loud the original is under the interpreter. Chosen also while nobody interprets: it counts when they do. */
  private underneath(meeting: Meeting, kind: Hearing): TemplateResult {
    const { original_db } = this.state.session;
    return html`<div class="orig" data-idle=${kind === 'interpreted' ? 'no' : 'yes'}>
      <p id="orig-h">${withLanguage('original-under', meeting.floor.language)}</p>
      <div class="seg" role="radiogroup" aria-labelledby="orig-h" id="original">
        ${ORIGINAL_LEVELS.map(
          (level) => html`<label
            ><input
              type="radio"
              name="original"
              value=${level}
              .checked=${live(level === original_db)}
              @change=${() => this.emit({ type: 'original_chosen', original_db: level })}
            /><b>${t(`original-${ORIGINAL_WORDS[level]}`)}</b><small class="num">${decibels(level)}</small></label
          >`,
        )}
      </div>
    </div>`;
  }

  private languages(meeting: Meeting): TemplateResult {
    const { channel } = this.state.session;
    return html`<section class="card langs" id="languages" aria-labelledby="languages-h">
      <div class="langs-h">
        <h2 id="languages-h">${t('languages')} <span class="num">${meeting.channels.length + 1}</span></h2>
      </div>
      ${channelList(meeting, channel, 'languages-h', (id) => this.emit({ type: 'channel_chosen', channel: id }))}
    </section>`;
  }

  private bar(meeting: Meeting): TemplateResult {
    const { awake, can_stay_awake, sound_only } = this.state;
    const words = html`${icon(awake ? 'sun' : 'moon')}<span>${t(awake ? 'screen-awake' : 'screen-dark')}</span>`;
    return html`<footer class="bar">
      ${can_stay_awake
        ? html`<button class="quiet" id="awake" @click=${() => this.emit({ type: 'awake_pressed' })}>${words}</button>`
        : html`<p class="quiet">${words}</p>`}
      ${hasStage(meeting) || sound_only
        ? html`<button
            class="act"
            id="sound-only"
            aria-pressed=${sound_only}
            @click=${() => this.emit({ type: 'sound_only_pressed' })}
          >
            ${icon(sound_only ? 'camera_off' : 'camera')}<span>${t('sound-only')}</span>
          </button>`
        : nothing}
      <button class="act" id="leave" @click=${() => this.emit({ type: 'leave_pressed' })}>${icon('leave')}${t('leave')}</button>
    </footer>`;
  }

  override updated(): void {
    const { session } = this.state;
    const inside = session.phase !== 'outside' && session.phase !== 'ended';
    const heard = inside ? autonym(session.meeting, session.channel) || t('original') : '';
    document.title = [heard, session.meeting?.title ?? '', 'Kabina'].filter((s) => s !== '').join(' · ');
  }
}
customElements.define('kb-attend', AttendPage);
