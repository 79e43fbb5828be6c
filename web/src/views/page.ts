/** The base of every page's element: state in, events out, light DOM. */

import { html, LitElement, type TemplateResult } from 'lit';
import type { LinkProblem } from '../state/token.ts';
import type { What } from '../wire.ts';
import { linkNotice } from './parts.ts';

export abstract class Page<S, E> extends LitElement {
  static override properties = {
    state: { attribute: false },
    now_ms: { attribute: false },
    locale: { attribute: false },
    problem: { attribute: false },
    pictures: { attribute: false },
  };
  declare state: S;
  /** Wall clock, moved once a second by the shell. */
  declare now_ms: number;
  declare locale: string;
  /** Why there is no page to show, if so. */
  declare problem: LinkProblem | 'unknown_meeting' | undefined;

  /** What flows in the two picture slots. */
  declare pictures: Record<What, MediaStream> | undefined;

  // Labels and ARIA ids do not cross shadow roots.
  override createRenderRoot(): HTMLElement {
    return this;
  }

  // The words arrive with the locale: nothing is drawn before, so that no language flashes by.
  override shouldUpdate(): boolean {
    return this.locale !== undefined && this.state !== undefined;
  }

  override render(): TemplateResult {
    return html`${this.problem === undefined ? this.view() : linkNotice(this.problem, listenHref())}
      <p class="vh" id="said" role="status"></p>`;
  }

  protected abstract view(): TemplateResult;

  /** Says `text` to screen readers, politely. */
  say(text: string): void {
    const region = this.querySelector('#said');
    if (region !== null) region.textContent = text;
  }

  protected readonly emit = (event: E): void => {
    this.dispatchEvent(new CustomEvent('kabina', { detail: event }));
  };
}

/** The listener's page of the same meeting, with the same token. */
const listenHref = (): string => `/attend/${location.pathname.split('/')[2] ?? ''}${location.hash}`;
