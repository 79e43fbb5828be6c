/** Measures how large the pictures are on the page: a tile is any element with `data-tile`. */

import type { Tile, What } from '../wire.ts';

// A new picture waits for this before the server knows of its place; reading two boxes costs nothing.
const LOOK_MS = 200;
// Layout moves in bursts; twice a second is enough for the choice of a layer.
const SETTLE_MS = 500;
const WHATS: readonly What[] = ['camera', 'screen'];

export function watchTiles(root: ParentNode, measured: (tiles: Tile[]) => void): void {
  let told = '';
  let told_at_ms = -SETTLE_MS;
  setInterval(() => {
    const tiles = WHATS.map((what) => tileOf(root, what));
    const now = JSON.stringify(tiles);
    // An event draws the page anew: not for nothing.
    if (now === told || performance.now() - told_at_ms < SETTLE_MS) return;
    told = now;
    told_at_ms = performance.now();
    measured(tiles);
  }, LOOK_MS);
}

function tileOf(root: ParentNode, what: What): Tile {
  const box = root.querySelector(`[data-tile=${what}]`)?.getBoundingClientRect();
  const scale = window.devicePixelRatio;
  const [width, height] = [Math.round((box?.width ?? 0) * scale), Math.round((box?.height ?? 0) * scale)];
  return { what, width, height, visible: height > 0 && document.visibilityState === 'visible' };
}
