/** Where panels stand in their section. */

import type { GridPos, Panel } from './dashboard.ts';

const COLUMNS = 24;

/**
 * Moves every panel up as far as it can go, as Grafana's grid does: the places that a file saves for folded rows have holes.
 *
 * returns  a place for each panel, in their order; y from 0
 */
export function compact(panels: readonly Pick<Panel, 'gridPos'>[]): GridPos[] {
  const order = panels.map((_, at) => at).sort((a, b) => panels[a].gridPos.y - panels[b].gridPos.y || panels[a].gridPos.x - panels[b].gridPos.x);
  const bottoms: number[] = Array.from({ length: COLUMNS }, () => 0);
  const found: GridPos[] = [];
  for (const at of order) {
    const { x, w, h } = panels[at].gridPos;
    const left = Math.min(Math.max(x, 0), COLUMNS - 1);
    const width = Math.min(w, COLUMNS - left);
    const y = Math.max(...bottoms.slice(left, left + width));
    bottoms.fill(y + h, left, left + width);
    found[at] = { x: left, y, w: width, h };
  }
  return found;
}
