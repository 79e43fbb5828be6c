/** Measures how large the pictures are on the page: a tile is any element with `data-tile`. */

import type { Tile, What } from '../wire.ts';

// Layout moves in bursts; twice a second is enough for the choice of a layer.
const SETTLE_MS = 500;
const WHATS: readonly What[] = ['camera', 'screen'];

export function watchTiles(root: ParentNode, measured: (tiles: Tile[]) => void): void {
  const measure = (): void => measured(WHATS.map((what) => tileOf(root, what)));
  setInterval(measure, SETTLE_MS);
  document.addEventListener('visibilitychange', measure);
}

function tileOf(root: ParentNode, what: What): Tile {
  const box = root.querySelector(`[data-tile=${what}]`)?.getBoundingClientRect();
  const scale = window.devicePixelRatio;
  const [width, height] = [Math.round((box?.width ?? 0) * scale), Math.round((box?.height ?? 0) * scale)];
  return { what, width, height, visible: height > 0 && document.visibilityState === 'visible' };
}
