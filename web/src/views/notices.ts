/** The cards of a page that has one thing to say. */

import { html, nothing, type TemplateResult } from 'lit';
import { t } from '../i18n.ts';
import { type Problem, remedyOf } from '../state/ending.ts';
import { icon } from './icons.ts';

/** `top` is the card's first line; `action` what there is to do. */
export function notice(
  top: TemplateResult,
  title: string,
  text: string,
  action: TemplateResult | typeof nothing = nothing,
): TemplateResult {
  return html`<main class="alone">
    <section class="card door notice">
      ${top}
      <header><h1>${title}</h1><p class="meta">${text}</p></header>
      ${action}
    </section>
  </main>`;
}

export type Trouble = {
  problem: Problem;
  /** The server's word for it. */
  code: string;
  /** They were in the meeting a moment ago. */
  cut: boolean;
  /** The listener's page, for who may go there. */
  listen: string;
  again: () => void;
};

/** What happened, and whom to ask or what to press. */
export function problemNotice(top: TemplateResult, trouble: Trouble): TemplateResult {
  const { problem, code, cut, listen, again } = trouble;
  const id = `problem-${problem.replaceAll('_', '-')}`;
  const remedy = remedyOf(problem);
  return html`<main class="alone">
    <section class="card door notice" role="alert" data-problem=${problem}>
      ${top}
      <header>
        <h1>${icon('alert')}<span>${t(id)}</span></h1>
        <p class="meta">${t(`${id}-text`, { code })}</p>
        ${cut && problem !== 'replaced' ? html`<p class="meta">${t('problem-cut')}</p>` : nothing}
      </header>
      ${remedy === 'ask' ? html`<p class="ask">${icon('people')}<span>${t('problem-ask')}</span></p>` : nothing}
      ${remedy === 'again'
        ? html`<button class="btn big" id="again" @click=${again}>${t('problem-again')}</button>`
        : nothing}
      ${remedy === 'listen'
        ? html`<a class="btn big" href=${listen}>${icon('ears')}${t('problem-other-role-go')}</a>`
        : nothing}
    </section>
  </main>`;
}
