/** What a speaker shows: two buttons, their own pictures, which camera, and what is wrong. */

import { html, nothing, type TemplateResult } from 'lit';
import { t } from '../i18n.ts';
import { flows, problemOf, type VisualEvent, type Visuals } from '../state/visuals.ts';
import type { What } from '../wire.ts';
import { icon } from './icons.ts';

const WHATS: readonly What[] = ['camera', 'screen'];
type Own = Record<What, MediaStream | null> | undefined;
type Emit = (event: VisualEvent) => void;

export function showing(v: Visuals, own: Own, emit: Emit): TemplateResult {
  return html`<section class="card" aria-labelledby="show-h">
    <div class="head">${icon('screen')}<h2 id="show-h">${t('you-show')}</h2></div>
    <div class="own">
      ${WHATS.map((what) => key(v, what, emit))} ${WHATS.map((what) => (flows(v[what]) ? picture(what, own) : nothing))}
      ${WHATS.map((what) => problem(v, what))} ${v.cameras.length < 2 ? nothing : cameras(v, emit)}
    </div>
  </section>`;
}

function key(v: Visuals, what: What, emit: Emit): TemplateResult {
  const asking = v[what] === 'asking';
  const word = asking ? 'visual-asking' : flows(v[what]) ? `stop-${what}` : `start-${what}`;
  return html`<button
    class="act"
    id=${what}
    data-testid=${`show-${what}`}
    data-state=${v[what]}
    aria-pressed=${flows(v[what])}
    @click=${() => emit({ type: 'visual_pressed', what })}
  >
    ${icon(what)}${t(word)}
  </button>`;
}

const picture = (what: What, own: Own): TemplateResult => html`<figure class="tile ${what === 'camera' ? 'self' : 'own-screen'}">
  <video autoplay playsinline muted .muted=${true} .srcObject=${own?.[what] ?? null} aria-label=${t(`own-${what}`)}></video>
  <figcaption class="plate">${icon(what, true)}<span class="cut">${t(`own-${what}`)}</span></figcaption>
</figure>`;

function problem(v: Visuals, what: What): TemplateResult | typeof nothing {
  const why = problemOf(v[what]);
  if (why === null) return nothing;
  return html`<p class="warn" role="alert" data-testid="visual-problem">${icon('alert')}<span>${t(`visual-${why}`)}</span></p>`;
}

const cameras = (v: Visuals, emit: Emit): TemplateResult => html`<label class="field"
  >${icon('camera', true)}<span class="vh">${t('camera-device')}</span>
  <select
    id="camera-device"
    @change=${(e: Event) => emit({ type: 'camera_chosen', device: (e.target as HTMLSelectElement).value })}
  >
    ${v.cameras.map(
      (d, n) => html`<option value=${d.id} ?selected=${d.id === v.device}>${d.label || `${t('start-camera')} ${n + 1}`}</option>`,
    )}
  </select>
  ${icon('down', true)}
</label>`;
