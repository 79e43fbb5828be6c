/** The landing page: what Kabina is and, where the server runs the demo, its links. */

import './style/base.css';
import './style/landing.css';
import { preferredLocale, useLocale } from './i18n.ts';
import type { LandingPage } from './views/landing.ts';
import './views/landing.ts';
import { decodeDemo, type DemoLink } from './wire.ts';

const page = document.querySelector<LandingPage>('kb-landing') as LandingPage;

async function speak(tag: Parameters<typeof useLocale>[0], remember: boolean): Promise<void> {
  await useLocale(tag, remember);
  page.locale = tag;
}

/** The links of the demo, or none: 404 is the usual answer of a server in service. */
async function demo(): Promise<DemoLink[]> {
  try {
    const response = await fetch('/api/demo');
    return response.ok ? (decodeDemo(await response.text()) ?? []) : [];
  } catch {
    return []; // the page still says what to do
  }
}

page.addEventListener('locale', (event) => void speak((event as CustomEvent<Parameters<typeof useLocale>[0]>).detail, true));
page.links = await demo();
await speak(preferredLocale(), false);
