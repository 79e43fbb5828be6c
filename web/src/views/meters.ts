/** Meters: painted straight from levels, past the state, ten or more times a second. */

import { segments } from '../state/hearing.ts';

const calm = matchMedia('(prefers-reduced-motion: reduce)');

/** Lights the segments of every `[data-lane=name]` under `root`. `db` null: nobody. */
export function paintLane(root: ParentNode, name: string, db: number | null, of = 10): void {
  for (const lane of root.querySelectorAll<HTMLElement>(`[data-lane=${name}]`)) {
    const n = String(segments(db, of));
    if (lane.dataset.n === n) continue;
    lane.dataset.n = n;
    lane.style.setProperty('--n', n);
  }
}

/** A running picture of a level: one bar per `push`, new at the end. With reduced motion a single row of bars that fill. */
export class Wave extends HTMLElement {
  #canvas = document.createElement('canvas');
  #levels: number[] = [];
  #clips: boolean[] = [];
  #resize = new ResizeObserver(() => this.#draw());

  connectedCallback(): void {
    this.setAttribute('aria-hidden', 'true');
    if (this.#canvas.parentElement === null) this.append(this.#canvas);
    this.#resize.observe(this);
  }

  disconnectedCallback(): void {
    this.#resize.disconnect();
  }

  /** `db` in dBFS, null for nobody; `clip` draws the mark of an overload. */
  push(db: number | null, clip = false): void {
    // −54 … −6 dBFS of speech fill the height.
    const value = db === null ? 0 : Math.max(0, Math.min(1, (db + 54) / 48));
    this.#levels.push(value);
    this.#clips.push(clip);
    const keep = 600;
    if (this.#levels.length > keep) {
      this.#levels.splice(0, this.#levels.length - keep);
      this.#clips.splice(0, this.#clips.length - keep);
    }
    this.#draw();
  }

  /** Overloads among the last `bars`. */
  clips(bars: number): number {
    return this.#clips.slice(-bars).filter(Boolean).length;
  }

  #draw(): void {
    const { clientWidth: width, clientHeight: height } = this;
    const ctx = this.#canvas.getContext('2d');
    if (ctx === null || width === 0 || height === 0) return;
    const scale = devicePixelRatio;
    if (this.#canvas.width !== Math.round(width * scale) || this.#canvas.height !== Math.round(height * scale)) {
      this.#canvas.width = Math.round(width * scale);
      this.#canvas.height = Math.round(height * scale);
    }
    ctx.setTransform(scale, 0, 0, scale, 0, 0);
    ctx.clearRect(0, 0, width, height);
    const style = getComputedStyle(this);
    const of = Number(style.getPropertyValue('--bars')) || 0;
    const pitch = of > 0 ? width / of : Number(style.getPropertyValue('--pitch')) || 6;
    const bar = Math.max(1.5, pitch * 0.5);
    const count = Math.floor(width / pitch);
    const floor = this.hasAttribute('standing');
    const tall = Math.min(height - 4, Number(style.getPropertyValue('--tall')) || height);
    const [quiet, loud, alarm] = [style.borderColor, style.color, style.outlineColor];
    const last = this.#levels.length - 1;
    for (let i = 0; i < count; i += 1) {
      const at = last - (count - 1 - i);
      const value = calm.matches ? this.#steady(i / count) : (this.#levels[at] ?? 0);
      const h = Math.max(bar, value * tall);
      const x = i * pitch + (pitch - bar) / 2;
      ctx.fillStyle = this.#clips[at] === true ? alarm : value > 0.02 ? loud : quiet;
      // What was said fades into the past.
      ctx.globalAlpha = value > 0.02 && !floor ? 0.2 + 0.7 * (i / count) ** 1.5 : 1;
      ctx.beginPath();
      ctx.roundRect(x, floor ? height - h : (height - h) / 2, bar, h, floor ? 1 : bar / 2);
      ctx.fill();
    }
    ctx.globalAlpha = 1;
  }

  /** Reduced motion: the level now, as bars that are on or off. */
  #steady(place: number): number {
    return place < (this.#levels.at(-1) ?? 0) ? 0.5 : 0;
  }
}
customElements.define('kb-wave', Wave);

export function pushWave(root: ParentNode, name: string, db: number | null): void {
  for (const wave of root.querySelectorAll<Wave>(`kb-wave[data-wave=${name}]`)) wave.push(db);
}
