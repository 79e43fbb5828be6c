/** The words of the pages. Their language is the reader's choice and independent of what is heard. */

import { FluentBundle, FluentResource, type FluentVariable } from '@fluent/bundle';
import english from '../locales/en.ftl?raw';

/** Own names, fixed: browsers do not know all of them (`Intl.DisplayNames` lacks several). */
export const LOCALES = [
  { tag: 'en', autonym: 'English' },
  { tag: 'fr', autonym: 'Français' },
  { tag: 'sq', autonym: 'Shqip' },
  { tag: 'ru', autonym: 'Русский' },
] as const;
export type Locale = (typeof LOCALES)[number]['tag'];

const KEY = 'kabina.locale';
const SOURCES: Record<Locale, () => Promise<string>> = {
  en: () => Promise.resolve(english),
  fr: () => import('../locales/fr.ftl?raw').then((m) => m.default),
  sq: () => import('../locales/sq.ftl?raw').then((m) => m.default),
  ru: () => import('../locales/ru.ftl?raw').then((m) => m.default),
};

const fallback = bundle('en', english);
let current = fallback;

function bundle(tag: string, source: string): FluentBundle {
  const made = new FluentBundle(tag);
  made.addResource(new FluentResource(source));
  return made;
}

function isLocale(tag: string | null | undefined): tag is Locale {
  return LOCALES.some((l) => l.tag === tag);
}

/** The saved choice, else the first of the browser's languages that there is, else English. */
export function preferredLocale(): Locale {
  const saved = localStorage.getItem(KEY);
  if (isLocale(saved)) return saved;
  return navigator.languages.map((l) => l.split('-')[0]).find((l) => isLocale(l)) ?? 'en';
}

/** Loads the words of `tag`; `remember` keeps the choice for the next visit. */
export async function useLocale(tag: Locale, remember: boolean): Promise<void> {
  current = bundle(tag, await SOURCES[tag]());
  document.documentElement.lang = tag;
  if (remember) localStorage.setItem(KEY, tag);
}

export function t(id: string, args?: Record<string, FluentVariable>): string {
  const from = current.hasMessage(id) ? current : fallback;
  const value = from.getMessage(id)?.value;
  return value ? from.formatPattern(value, args ?? null) : id;
}

// Private-use characters, one per slot: a translated text never has them.
const FIRST_MARK = 0xe000;

/**
 * The message `id` in pieces, with the element of `slots` where the text has `{ $name }`.
 * Fluent's isolating marks around a slot are dropped: the element isolates itself by `dir="auto"`.
 */
export function rich<T>(id: string, slots: Record<string, T>): (string | T)[] {
  const names = Object.keys(slots);
  const marks = Object.fromEntries(names.map((name, n) => [name, String.fromCharCode(FIRST_MARK + n)]));
  return t(id, marks)
    .split(/\u2068?([\ue000-\ue0ff])\u2069?/)
    .map((piece, n) => {
      const name = n % 2 === 1 ? names[piece.charCodeAt(0) - FIRST_MARK] : undefined;
      return name === undefined ? piece : (slots[name] as T);
    });
}
