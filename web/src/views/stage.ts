/** The stage: the shared screen large, the speaker's camera beside it; each with a plate that says whose it is. */

import { html, nothing, type TemplateResult } from 'lit';
import { t } from '../i18n.ts';
import { isHeard } from '../state/hearing.ts';
import type { View } from '../state/interpreter.ts';
import type { Session } from '../state/session.ts';
import type { Meeting, Shown, What } from '../wire.ts';
import { icon } from './icons.ts';
import { voiceMark } from './parts.ts';

type Pictures = Record<What, MediaStream> | undefined;

export const hasStage = (meeting: Meeting): boolean =>
  meeting.stage.camera !== null || meeting.stage.screen !== null;

/** How many pictures there are now. */
export const places = (meeting: Meeting): number =>
  Number(meeting.stage.camera !== null) + Number(meeting.stage.screen !== null);

/** `view` leaves one of two out; what is alone is always shown. */
export function stage(meeting: Meeting, s: Session, pictures: Pictures, view: View = 'both'): TemplateResult {
  const two = places(meeting) === 2;
  const camera = two && view === 'slides' ? null : meeting.stage.camera;
  const screen = two && view === 'speaker' ? null : meeting.stage.screen;
  return html`<section class="stage" aria-label=${t('stage')} data-places=${camera !== null && screen !== null ? 2 : 1}>
    ${tile('screen', screen, s, pictures)} ${tile('camera', camera, s, pictures)}
  </section>`;
}

function tile(what: What, shown: Shown | null, s: Session, pictures: Pictures): TemplateResult | typeof nothing {
  if (shown === null) return nothing;
  const whose = shown.name === '' ? t('speaker') : shown.name;
  const heard = what === 'camera' && isHeard(s, shown.participant);
  return html`<figure class="tile" data-tile=${what} data-heard=${heard ? 'yes' : 'no'}>
    <video
      autoplay
      playsinline
      muted
      .muted=${true}
      .srcObject=${pictures?.[what] ?? null}
      aria-label=${t(what === 'screen' ? 'screen-of' : 'camera-of', { name: whose })}
    ></video>
    <figcaption class="plate">${what === 'screen' ? icon('screen', true) : voiceMark(s, shown.participant)}<span class="cut" dir="auto">${whose}</span></figcaption>
    <button class="grow" aria-label=${t('enlarge')} @click=${enlarge}><span>${icon('full', true)}</span></button>
  </figure>`;
}

/** Also ends it: a second press on a phone has no Escape key. */
function enlarge(event: Event): void {
  const figure = (event.currentTarget as HTMLElement).closest('figure');
  if (document.fullscreenElement !== null) void document.exitFullscreen();
  else figure?.requestFullscreen().catch(() => undefined); // iPhones know no full screen for elements
}
