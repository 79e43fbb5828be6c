/** The door that every page has before its meeting, and the link that skips to what one came for. */

import { html, nothing, type TemplateResult } from 'lit';
import { type Icon, icon } from './icons.ts';

export type Door = {
  /** Of the form. */
  id: string;
  top: TemplateResult;
  title: string;
  /** One line under the title. */
  meta: TemplateResult | typeof nothing;
  /** What is chosen before entering. */
  choice: TemplateResult;
  /** What the person should know before they press. */
  notes: readonly (readonly [Icon, string])[];
  button: TemplateResult;
  enter: () => void;
};

export const door = (d: Door): TemplateResult => html`<main class="alone">
  <form class="card door" id=${d.id} @submit=${onSubmit(d.enter)}>
    ${d.top}
    <header><h1 dir="auto">${d.title}</h1>${d.meta}</header>
    <section>${d.choice}</section>
    <ul class="note">
      ${d.notes.map(([sign, text]) => html`<li>${icon(sign, true)}${text}</li>`)}
    </ul>
    ${d.button}
  </form>
</main>`;

/** A form that is never sent anywhere: Enter in it is the button. */
export const onSubmit =
  (enter: () => void) =>
  (event: Event): void => {
    event.preventDefault();
    enter();
  };

/**
 * Moves the focus to the first of `selectors` that is there. The fragment holds the token, so that a plain
 * jump would put another one in its place.
 */
export const skipTo =
  (root: ParentNode, ...selectors: string[]) =>
  (event: Event): void => {
    event.preventDefault();
    for (const selector of selectors) {
      const found = root.querySelector<HTMLElement>(selector);
      if (found !== null) return found.focus();
    }
  };
