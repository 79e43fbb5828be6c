/** The interpreter's page: incoming left, outgoing in the middle, the booth and the channels right. */

import { html, nothing, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import { rich, t } from '../i18n.ts';
import { channelOf } from '../state/hearing.ts';
import { wanted } from '../state/hold.ts';
import { boothOf, boothsOf, type Interpreter, type InterpreterEvent, ready, VIEWS } from '../state/interpreter.ts';
import type { Session } from '../state/session.ts';
import type { Booth, Channel, Meeting, Seat } from '../wire.ts';
import { channelTable, device, floorList, leave, levelMeter, who } from './desk.ts';
import { door, skipTo } from './entry.ts';
import { icon } from './icons.ts';
import './meters.ts';
import { Page } from './page.ts';
import {
  brand,
  cardTop,
  channelState,
  connection,
  duration,
  localePicker,
  ownName,
  personName,
  tapToHear,
  volumeSlider,
  withLanguage,
} from './parts.ts';
import { hasStage, places, stage } from './stage.ts';

export class BoothPage extends Page<Interpreter, InterpreterEvent> {
  protected override session(): Session {
    return this.state.talker.session;
  }

  protected override again(): InterpreterEvent {
    return { type: 'enter_pressed' };
  }

  protected override view(meeting: Meeting): TemplateResult {
    const booth = boothOf(this.state);
    const channel = channelOf(meeting, booth?.channel ?? null);
    if (booth === null || channel === null) return this.notice(meeting.title, t('no-booth'));
    return this.session().phase === 'outside' ? this.door(meeting, booth) : this.console(meeting, booth, channel);
  }

  private door(meeting: Meeting, booth: Booth): TemplateResult {
    const booths = boothsOf(meeting, this.state.languages);
    return door({
      id: 'join',
      top: cardTop(this.locale, this),
      title: meeting.title,
      meta: nothing,
      choice: html`<div class="sub"><h2 id="booth-h">${t('choose-booth')}</h2></div>
        <div class="pick" role="radiogroup" aria-labelledby="booth-h">
          ${booths.map((b) => this.boothRow(meeting, b, b.id === booth.id))}
        </div>`,
      notes: [
        ['mic_off', t('enter-hint-mic')],
        ['ears', t('enter-hint-headset')],
      ],
      button: html`<button class="btn big" id="enter-booth" data-testid="enter-booth" type="submit">
        ${icon('headset')}${t('enter-booth')}
      </button>`,
      enter: () => this.emit({ type: 'enter_pressed' }),
    });
  }

  private boothRow(meeting: Meeting, booth: Booth, chosen: boolean): TemplateResult {
    const channel = channelOf(meeting, booth.channel);
    return html`<label class="row">
      <input
        type="radio"
        name="booth"
        value=${booth.id}
        .checked=${live(chosen)}
        @change=${() => this.emit({ type: 'booth_chosen', booth: booth.id })}
      /><span class="dot"></span
      ><span class="name cut">${channel === null ? booth.id : ownName(channel.language)}</span
      >${channel === null ? nothing : channelState(channel)}
    </label>`;
  }

  private readonly skip = skipTo(this, '#mic');

  private console(meeting: Meeting, booth: Booth, channel: Channel): TemplateResult {
    const { session } = this.state.talker;
    const seat = booth.desks.find((d) => d.participant === session.me?.participant);
    const clock = new Date(this.now_ms).toLocaleTimeString('en-GB'); // digits only: the same everywhere
    return html`<div class="console">
      <a class="skip" href="#mic" @click=${this.skip}>${t('skip-to-controls')}</a>
      <header class="top">
        ${brand()}
        <div class="title">
          <h1 class="cut">${withLanguage('booth-of', channel.language)}</h1>
          ${seat === undefined ? nothing : html`<p class="num">${t('desk-number', { number: seat.number })}</p>`}
          <p class="cut wide" dir="auto">${meeting.title}</p>
        </div>
        ${connection(session)}
        <time class="clock num wide" aria-label=${t('clock')}>${clock}</time>
        ${localePicker(this.locale, this)}
        ${leave(() => this.emit({ type: 'leave_pressed' }))}
      </header>
      <main class="desk" data-stage=${hasStage(meeting) ? 'yes' : 'no'}>
        ${this.incoming(meeting)} ${hasStage(meeting) ? this.media(meeting) : nothing} ${this.outgoing(channel)}
        <div class="team">${this.partners(booth)} ${this.channels(meeting, channel)}</div>
      </main>
    </div>`;
  }

  /** What the interpreter sees stands over what they press: the speaker's face, the slides, or both. */
  private media(meeting: Meeting): TemplateResult {
    const { view } = this.state;
    const tabs = html`<div class="seg" role="radiogroup" aria-labelledby="media-h">
        ${VIEWS.map(
          (v) => html`<label
            ><input
              type="radio"
              name="view"
              value=${v}
              .checked=${live(v === view)}
              @change=${() => this.emit({ type: 'view_chosen', view: v })}
            />${t(`view-${v}`)}</label
          >`,
        )}
      </div>
      <kbd aria-hidden="true">V</kbd>`;
    return html`<div class="card media" id="media">
      <div class="head">${icon('screen')}<h2 id="media-h">${t('stage')}</h2>
        <span class="grow"></span>${places(meeting) === 2 ? tabs : nothing}</div>
      ${stage(meeting, this.state.talker.session, this.pictures, view)}
    </div>`;
  }

  private incoming(meeting: Meeting): TemplateResult {
    const { session, volume, blocked } = this.state.talker;
    return html`<section class="card in" aria-labelledby="in-h">
      <div class="head">${icon('headphones')}<h2 id="in-h">${t('incoming')}</h2></div>
      <div class="source">
        <p class="big"><span class="mark" aria-hidden="true"></span>${ownName(meeting.floor.language)}</p>
        <p class="line dim"><b>${t('floor-language')}</b> <span class="grow"></span>${t('direct')}</p>
        <div class="lane wide-lane" data-lane="floor" aria-hidden="true"></div>
        <kb-wave data-wave="floor"></kb-wave>
      </div>
      ${floorList(meeting, session, this.now_ms)}
      ${blocked ? tapToHear(() => this.emit({ type: 'play_pressed' })) : nothing}
      <div class="set">
        <h3>${t('headset')}</h3>
        ${volumeSlider(volume, false, (v) => this.emit({ type: 'volume_moved', volume: v }))}
      </div>
    </section>`;
  }

  private outgoing(channel: Channel): TemplateResult {
    const { microphone, hold, held_since_ms } = this.state.talker;
    const time =
      held_since_ms === null
        ? nothing
        : html`<p class="dim">${t('on-air-for')} <b class="num">${duration((this.now_ms - held_since_ms) / 1000)}</b></p>`;
    return html`<section class="card out-panel" aria-labelledby="out-h">
      <div class="head">${icon('mic')}<h2 id="out-h">${t('outgoing')}</h2><span class="grow"></span>${time}</div>
      <div class="keys">${this.micKey(channel)} ${this.outlet(channel, hold === 'on')}</div>
      ${this.refusal(channel)}
      ${levelMeter()}
      ${device(
        microphone,
        (id) => this.emit({ type: 'device_chosen', device: id }),
        () => this.emit({ type: 'device_chosen', device: microphone.device ?? '' }),
      )}
    </section>`;
  }

  private micKey(channel: Channel): TemplateResult {
    const { hold, session } = this.state.talker;
    const partner = channel.on_air.find((p) => p.participant !== session.me?.participant);
    const [word, hint] =
      hold === 'on'
        ? [t('mic-on-air'), html`${ownName(channel.language)}`]
        : hold === 'waiting'
          ? [t('mic-waiting'), html`${t('mic-waiting-hint')}`]
          : hold === 'taking' || hold === 'retaking'
            ? [t('mic-taking'), html`${ownName(channel.language)}`]
            : [
                t('mic-off'),
                partner === undefined
                  ? withLanguage('mic-off-hint', channel.language)
                  : html`${rich('mic-taken', { holder: personName(partner.name || t('interpreter')) })}`,
              ];
    return html`<button
      class="key mic"
      id="mic"
      data-testid="mic"
      data-hold=${hold}
      aria-pressed=${wanted(hold)}
      aria-keyshortcuts="M"
      ?disabled=${hold === 'off' && !ready(this.state)}
      @click=${() => this.emit({ type: 'hold_pressed' })}
    >
      <span class="key-top">${icon(hold === 'on' ? 'mic_on' : hold === 'off' ? 'mic_off' : 'mic')}<kbd aria-hidden="true">M</kbd></span>
      <span><b>${word}</b><small>${hint}</small></span>
    </button>`;
  }

  /** The outlet this desk feeds, with its listeners. */
  private outlet(channel: Channel, mine: boolean): TemplateResult {
    const held = channel.on_air.length > 0;
    const state = mine ? 'desk-active' : held ? 'state-interpreted' : `state-${channel.state}`;
    return html`<div class="outlet" data-on=${mine ? 'yes' : 'no'}>
      <span class="letter" aria-hidden="true">A</span>
      <div>
        <p class="n">${ownName(channel.language)}</p>
        <p class="dim">${t(state)}</p>
        <p class="dim lis num" dir="auto">${icon('ears', true)}${t('listeners', { count: channel.listeners })}</p>
      </div>
    </div>`;
  }

  private refusal(channel: Channel): TemplateResult | typeof nothing {
    const { refusal, session } = this.state.talker;
    const { seat, seat_refusal } = this.state;
    if (seat === 'refused') {
      const full = seat_refusal?.code === 'booth.full';
      return html`<p class="warn refused" id="refusal">${icon('alert')}<span>${t(full ? 'refusal-full' : 'refusal-other')}</span></p>`;
    }
    if (refusal === null) return nothing;
    const partner = channel.on_air.find((p) => p.participant !== session.me?.participant);
    // Over as soon as the partner has let go: the key says so itself.
    if (refusal.code === 'channel.held' && partner === undefined) return nothing;
    const text =
      refusal.code === 'channel.held'
        ? rich('refusal-held', {
            holder: personName(refusal.holder || partner?.name || t('interpreter')),
            language: ownName(channel.language),
          })
        : t('refusal-other');
    return html`<p class="warn refused" id="refusal" data-testid="refusal">${icon('alert')}<span>${text}</span></p>`;
  }

  private partners(booth: Booth): TemplateResult {
    const me = this.state.talker.session.me?.participant;
    const row = (d: Seat): TemplateResult => html`<li data-state=${d.state}>
      <span class="letter num" aria-hidden="true">${d.number}</span>
      ${who(d.name || t('interpreter'), d.participant === me)}
      <span class="tag">${t(`desk-${d.state}`)}</span>
    </li>`;
    return html`<section class="card" aria-labelledby="desks-h">
      <div class="head">${icon('people')}<h2 id="desks-h">${t('desks')}</h2></div>
      <ul class="desks">
        ${booth.desks.map((d) => row(d))}
      </ul>
    </section>`;
  }

  private channels(meeting: Meeting, own: Channel): TemplateResult {
    return html`<section class="card" aria-labelledby="channels-h">
      <div class="head">${icon('headset')}<h2 id="channels-h">${t('channels')}</h2></div>
      ${channelTable(meeting, own.id)}
    </section>`;
  }

  override updated(): void {
    const { session, hold } = this.state.talker;
    const own = channelOf(session.meeting, boothOf(this.state)?.channel ?? null);
    const parts = [hold === 'on' ? t('desk-active') : '', own?.language.autonym ?? '', session.meeting?.title ?? '', 'Kabina'];
    document.title = parts.filter((s) => s !== '').join(' · ');
  }
}
customElements.define('kb-booth', BoothPage);
