/** The landing page. */

import { html, LitElement, svg, type SVGTemplateResult, type TemplateResult } from 'lit';
import { t } from '../i18n.ts';
import type { DemoLink } from '../wire.ts';
import { type Icon, icon } from './icons.ts';
import { brand, localePicker } from './parts.ts';

const KINDS: Record<string, { icon: Icon; words: string }> = {
  attend: { icon: 'ears', words: 'landing-attend' },
  booth: { icon: 'headset', words: 'landing-booth' },
  speak: { icon: 'mic', words: 'landing-speak' },
};

function wave(x: number, y: number, bars: number, seed: number): SVGTemplateResult[] {
  return Array.from({ length: bars }, (_, i) => {
    const h = 2 + 13 * Math.abs(Math.sin(i * 0.9 + seed) * Math.cos(i * 0.37 + seed * 2));
    return svg`<path d=${`M${x + i * 6} ${y - h}V${y + h}`} />`;
  });
}

/** One voice goes into the booth and comes out in several languages. Fixed sines: the same picture every time. */
function picture(): TemplateResult {
  return html`<svg class="hero-art" viewBox="0 0 380 190" aria-hidden="true">
    <g class="voice">${wave(8, 95, 15, 1)}</g>
    <g class="booth"><path d="M122 133V75c0-14 10-24 24-24h28c14 0 24 10 24 24v58M110 133h100M146 84v22M160 72v46M174 84v22" /></g>
    <g class="out a">${wave(236, 43, 22, 2)}</g>
    <g class="out b">${wave(236, 95, 22, 3.4)}</g>
    <g class="out c">${wave(236, 147, 22, 5.1)}</g>
  </svg>`;
}

export class LandingPage extends LitElement {
  static override properties = { links: { attribute: false }, locale: { attribute: false } };
  declare links: DemoLink[] | undefined;
  declare locale: string | undefined;

  override createRenderRoot(): HTMLElement {
    return this;
  }

  override shouldUpdate(): boolean {
    return this.locale !== undefined && this.links !== undefined;
  }

  override render(): TemplateResult {
    const links = this.links ?? [];
    return html`<div class="landing">
      <header>${brand()}${localePicker(this.locale ?? 'en', this)}</header>
      <main>
        <div class="hero">
          <div>
            <h1>${t('landing-title')}</h1>
            <p class="lead">${t('landing-text')}</p>
          </div>
          ${picture()}
        </div>
        ${links.length > 0
          ? html`<h2>${t('landing-demo')}</h2>
              <ul class="links">
                ${links.map((link) => this.card(link))}
              </ul>`
          : html`<section class="card open">
              ${icon('arrow')}
              <div><h2>${t('landing-open')}</h2><p>${t('landing-open-text')}</p></div>
            </section>`}
      </main>
    </div>`;
  }

  private card(link: DemoLink): TemplateResult {
    const kind = KINDS[link.page] ?? { icon: 'arrow' as const, words: 'landing-attend' };
    return html`<li>
      <a class="card" href=${link.url} data-page=${link.page}>
        <span class="pic">${icon(kind.icon)}</span>
        <span class="what"><b>${t(kind.words)}</b><small dir="auto">${link.label}</small></span>
        <span class="why">${t(`${kind.words}-text`)}</span>
      </a>
    </li>`;
  }
}
customElements.define('kb-landing', LandingPage);
