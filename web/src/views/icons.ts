/** The icons of the visual language, 20 × 20, drawn with strokes of the current colour. */

import { html, svg, type SVGTemplateResult, type TemplateResult } from 'lit';

const ICONS = {
  alert: svg`<path d="M10 3.2 17.6 16.5H2.4zM10 8v4M10 14.2v.1"/>`,
  arrow: svg`<path d="M4 10h12M11.5 5.5 16 10l-4.5 4.5"/>`,
  call: svg`<path d="M5 14V9a5 5 0 0 1 10 0v5l1.5 1.5h-13zM8.5 17.5h3M10 2v1.8"/>`,
  down: svg`<path d="m5.5 8 4.5 4.5L14.5 8"/>`,
  ears: svg`<path d="M3 13v-2.5a7 7 0 0 1 14 0V13M3 12.5c0-.6.5-1 1-1h1.5v5H4.3c-.7 0-1.3-.6-1.3-1.3zM17 12.5c0-.6-.5-1-1-1h-1.5v5h1.2c.7 0 1.3-.6 1.3-1.3z"/>`,
  camera: svg`<rect x="2.5" y="5.5" width="10.5" height="9" rx="1.5"/><path d="m13 9 4.5-2.5v7L13 11"/>`,
  camera_off: svg`<path d="M8 5.5h3.5c.8 0 1.5.7 1.5 1.5v2l4.5-2.5v7L13 11M5 5.5H4c-.8 0-1.5.7-1.5 1.5v6c0 .8.7 1.5 1.5 1.5h7.500c.6 0 1.100-.3 1.300-.8M3 3l14 14"/>`,
  full: svg`<path d="M12 3.5h4.5V8M8 16.5H3.5V12M16.2 3.8l-5 5M3.8 16.2l5-5"/>`,
  globe: svg`<circle cx="10" cy="10" r="7.2"/><path d="M2.8 10h14.4M10 2.8c2 2 3 4.4 3 7.2s-1 5.2-3 7.2c-2-2-3-4.4-3-7.2s1-5.2 3-7.2z"/>`,
  headphones: svg`<path d="M3 13v-2.5a7 7 0 0 1 14 0V13"/><rect x="3" y="11.5" width="3.5" height="5.5" rx="1.5"/><rect x="13.5" y="11.5" width="3.5" height="5.5" rx="1.5"/>`,
  headset: svg`<path d="M3.5 12.5v-2.3a6.5 6.5 0 0 1 13 0v2.3M3.5 11h2.2v4.5H4.5c-.6 0-1-.4-1-1zM16.5 11h-2.2v4.5h2.2zM16.5 15.5c0 1.5-1.5 2.3-4 2.3"/>`,
  leave: svg`<path d="M11.5 3.5H5.3c-.7 0-1.3.6-1.3 1.3v10.4c0 .7.6 1.3 1.3 1.3h6.2M8.5 10h8.5M14 6.8l3.2 3.2-3.2 3.2"/>`,
  live: svg`<path d="M3.5 8.5v3M7.8 5.5v9M12.2 3.5v13M16.5 7.5v5"/>`,
  lost: svg`<path d="M3.5 15.5v-2.2M7.8 15.5V11" stroke-width="2.6"/><path d="m11.5 7.5 5 5M16.5 7.5l-5 5"/>`,
  mark: svg`<path d="M3 16.5V6.8C3 5 4.4 3.5 6.2 3.5h7.6C15.6 3.5 17 5 17 6.8v9.7M1.8 16.5h16.4M6.5 9.5v3M10 7.5v7M13.5 9.5v3"/>`,
  mic: svg`<rect x="7" y="2" width="6" height="10" rx="3"/><path d="M4 9.5a6 6 0 0 0 12 0M10 15.5V18"/>`,
  mic_none: svg`<path d="M7.5 8V5.5a2.5 2.5 0 0 1 5 0v4M7.9 11c.5.6 1.2 1 2.1 1M5 9.5a5 5 0 0 0 8 4M10 14.7v2.5M15 9.5c0 .7-.1 1.3-.4 1.9M3 3l14 14"/>`,
  mic_off: svg`<path d="M7 6.5V9a3 3 0 0 0 4.6 2.5M13 8V5a3 3 0 0 0-5.6-1.5M4 9.5a6 6 0 0 0 9.3 5M16 9.5c0 .9-.2 1.7-.5 2.4M10 15.5V18M3 3l14 14"/>`,
  mic_on: svg`<rect x="7" y="2" width="6" height="10" rx="3" fill="currentColor"/><path d="M4 9.5a6 6 0 0 0 12 0M10 15.5V18"/>`,
  moon: svg`<path d="M16.5 12.3A7 7 0 0 1 7.7 3.5a7 7 0 1 0 8.8 8.8z"/>`,
  net: svg`<rect x="7.5" y="2.5" width="5" height="4.5" rx="1"/><rect x="2.5" y="13" width="5" height="4.5" rx="1"/><rect x="12.5" y="13" width="5" height="4.5" rx="1"/><path d="M10 7v3M5 13v-3h10v3"/>`,
  people: svg`<circle cx="7.5" cy="7" r="2.8"/><path d="M2.5 16.2c.3-2.9 2.2-4.6 5-4.6s4.7 1.7 5 4.6M13 4.6a2.5 2.5 0 0 1 0 4.8M14.6 12c1.7.6 2.7 2 2.9 4.2"/>`,
  play: svg`<path d="M6.5 4.2v11.6L16 10z" fill="currentColor"/>`,
  screen: svg`<rect x="2.5" y="3.5" width="15" height="10" rx="1.5"/><path d="M7 16.5h6M10 13.5v3"/>`,
  sig: svg`<path d="M3.5 15.5v-2.2M7.8 15.5V11M12.2 15.5V8M16.5 15.5v-11" stroke-width="2.6"/>`,
  quiet: svg`<path d="M3.5 9.3v1.4M7.8 9.3v1.4M12.2 9.3v1.4M16.5 9.3v1.4"/>`,
  silent: svg`<path d="M3 7.8h3L10.5 4v12L6 12.2H3zM13.5 8l4 4M17.5 8l-4 4"/>`,
  sun: svg`<circle cx="10" cy="10" r="3.4"/><path d="M10 2.5v1.8M10 15.7v1.8M2.5 10h1.8M15.7 10h1.8M4.7 4.7 6 6M14 14l1.3 1.3M15.3 4.7 14 6M6 14l-1.3 1.3"/>`,
  through: svg`<path d="M2.5 10h14M12.5 6l4 4-4 4M8 4v2.5M8 13.5V16"/>`,
  volume: svg`<path d="M3 7.8h3L10.5 4v12L6 12.2H3zM13.5 7.5a4 4 0 0 1 0 5M15.8 5.2a7.2 7.2 0 0 1 0 9.6"/>`,
  x: svg`<path d="m5 5 10 10M15 5 5 15"/>`,
} satisfies Record<string, SVGTemplateResult>;

export type Icon = keyof typeof ICONS;

/** Always beside words, hence hidden from screen readers. `small` is 16 px. */
export function icon(name: Icon, small = false): TemplateResult {
  return html`<svg class=${small ? 'i i-s' : 'i'} viewBox="0 0 20 20" aria-hidden="true">${ICONS[name]}</svg>`;
}
