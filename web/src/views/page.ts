/** The base of every page's element: state in, events out, light DOM. */

import { html, LitElement, type nothing, type TemplateResult } from 'lit';
import { t } from '../i18n.ts';
import { type Problem, problemOf } from '../state/ending.ts';
import type { Session } from '../state/session.ts';
import type { LinkProblem } from '../state/token.ts';
import type { Meeting, What } from '../wire.ts';
import { notice, problemNotice } from './notices.ts';
import { cardTop } from './parts.ts';

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
  declare problem: LinkProblem | undefined;

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
    return html`${this.body()}
      <p class="vh" id="said" role="status"></p>`;
  }

  private body(): TemplateResult {
    const session = this.session();
    const code = session.ending ?? '';
    if (this.problem !== undefined) return this.trouble(this.problem, code);
    if (session.phase === 'ended') return this.trouble(problemOf(code), code);
    return session.meeting === null ? this.notice(t('loading-meeting'), '') : this.view(session.meeting);
  }

  private trouble(problem: Problem, code: string): TemplateResult {
    const again = (): void => this.emit(this.again());
    const cut = this.session().me !== null;
    return problemNotice(cardTop(this.locale, this), { problem, code, cut, listen: listenHref(), again });
  }

  /** The card of a page that has one thing to say. */
  protected notice(title: string, text: string, action?: TemplateResult | typeof nothing): TemplateResult {
    return notice(cardTop(this.locale, this), title, text, action);
  }

  protected abstract session(): Session;
  /** What joins once more after an end that another try may mend. */
  protected abstract again(): E;
  /** The page of a meeting that is known, before the join and inside. */
  protected abstract view(meeting: Meeting): TemplateResult;

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
