/**
 * The tab's storage holds the keepsake only between two pages: written when one goes, taken out when the next
 * comes. A tab that is duplicated meanwhile copies an empty storage and so is somebody else.
 */

import { type Keepsake, type Kept, readKeepsake } from './state/kept.ts';

const KEY = 'kabina-keepsake';

/** 128 bits in base64url: nobody finds another's by trying. */
export function newInstance(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCodePoint(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** Reads it and takes it out. */
export function takeKeepsake(): Keepsake | null {
  try {
    const raw = sessionStorage.getItem(KEY);
    sessionStorage.removeItem(KEY);
    return readKeepsake(raw, location.href, Date.now());
  } catch {
    return null; // storage is forbidden: a reload then enters anew
  }
}

export function leaveKeepsake(instance: string, link: string, kept: Kept): void {
  const keepsake: Keepsake = { instance, link, at_ms: Date.now(), kept };
  try {
    sessionStorage.setItem(KEY, JSON.stringify(keepsake));
  } catch {
    // forbidden or full: a reload then enters anew
  }
}
