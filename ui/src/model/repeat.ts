/** Panels and rows that are there once for each value of a variable. */

import type { Dashboard, Panel, Section } from './dashboard.ts';
import { ALL, type State } from './vars.ts';

const REPEATS_MAX = 60;

function valuesOf(state: State, name: string): string[] {
  const chosen = state.get(name);
  if (!chosen) return [];
  return (chosen.values.includes(ALL) ? chosen.options.map(option => option.value) : chosen.values).slice(0, REPEATS_MAX);
}

/** The sections as they are drawn: repeats written out. Panels that repeat nothing stay the very same objects. */
export function expand(dashboard: Dashboard, state: State): Section[] {
  return dashboard.sections.flatMap(section => {
    if (!section.repeat) return [inside(section, state)];
    const values = valuesOf(state, section.repeat);
    if (!values.length) return [inside(section, state)];
    return values.map((value, at) => {
      const scoped = { [section.repeat!]: value };
      return inside({ ...section, id: section.id * 1000 + at, scoped, panels: section.panels.map(panel => ({ ...panel, scoped: { ...panel.scoped, ...scoped } })) }, state);
    });
  });
}

function inside(section: Section, state: State): Section {
  if (!section.panels.some(panel => panel.repeat)) return section;
  const found: Panel[] = [];
  let moved = 0;
  for (const panel of [...section.panels].sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x)) {
    const values = panel.repeat ? valuesOf(state, panel.repeat) : [];
    const { gridPos } = panel;
    if (!values.length) { found.push(moved ? { ...panel, gridPos: { ...gridPos, y: gridPos.y + moved } } : panel); continue; }
    const vertical = panel.repeatDirection === 'v';
    const across = vertical ? 1 : Math.min(values.length, panel.maxPerRow ?? 4, 24);
    const w = vertical ? gridPos.w : Math.floor(24 / across);
    for (const [at, value] of values.entries()) {
      found.push({
        ...panel, scoped: { ...panel.scoped, [panel.repeat!]: value },
        gridPos: { h: gridPos.h, w, x: vertical ? gridPos.x : (at % across) * w, y: gridPos.y + moved + Math.floor(at / across) * gridPos.h },
      });
    }
    moved += (Math.ceil(values.length / across) - 1) * gridPos.h;
  }
  return { ...section, panels: found };
}
