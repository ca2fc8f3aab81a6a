/** The box beside a chart's cursor. Plain DOM, text nodes only: it moves with every pixel of the mouse. */

import type uPlot from 'uplot';
import { formatDate } from '../format/dates.ts';
import type { ChartProps, ChartSeries } from './chart.tsx';
import type { Column } from './stack.ts';

const ROWS_MAX = 18;

export interface Tooltip {
  set: (series: ChartSeries[], raw: Column[], props: ChartProps) => void;
  update: (u: uPlot) => void;
  remove: () => void;
}

export function createTooltip(owner: HTMLElement): Tooltip {
  let series: ChartSeries[] = [];
  let raw: Column[] = [];
  let mode: ChartProps['tooltip'] = 'multi';
  let sort: ChartProps['sort'] = 'none';
  let box: HTMLDivElement | undefined;
  let shownAt = -1;

  const hide = (): void => { if (box) box.hidden = true; shownAt = -1; };
  const make = (): HTMLDivElement => {
    box = document.createElement('div');
    box.className = 'tooltip';
    box.setAttribute('aria-live', 'polite');
    document.body.append(box);
    return box;
  };

  const fill = (into: HTMLDivElement, ms: number, at: number, nearest: number): void => {
    const rows = series.map((each, n) => ({ each, n, value: raw[n][at] ?? null })).filter(row => row.value !== null);
    const chosen = mode === 'single' ? rows.filter(row => row.n === nearest) : rows;
    if (sort && sort !== 'none') chosen.sort((a, b) => (sort === 'asc' ? 1 : -1) * ((a.value as number) - (b.value as number)));
    let from = 0;
    if (chosen.length > ROWS_MAX) from = Math.min(Math.max(chosen.findIndex(row => row.n === nearest) - ROWS_MAX / 2, 0), chosen.length - ROWS_MAX);
    const head = document.createElement('div');
    head.className = 'tooltip-time';
    head.textContent = formatDate(ms, 'datetime');
    const parts: Node[] = [head];
    for (const { each, n, value } of chosen.slice(from, from + ROWS_MAX)) {
      const row = document.createElement('div');
      row.className = n === nearest && chosen.length > 1 ? 'tooltip-row near' : 'tooltip-row';
      const swatch = document.createElement('i');
      swatch.style.background = each.color;
      const name = document.createElement('span');
      name.textContent = each.name;
      const number = document.createElement('b');
      number.textContent = each.show(value);
      row.append(swatch, name, number);
      parts.push(row);
    }
    if (chosen.length > ROWS_MAX) {
      const more = document.createElement('div');
      more.className = 'muted';
      more.textContent = `${chosen.length - ROWS_MAX} more`;
      parts.push(more);
    }
    into.replaceChildren(...parts);
  };

  const nearestTo = (u: uPlot, at: number): number => {
    let [found, best] = [0, Infinity];
    for (let n = 0; n < series.length; n++) {
      const drawn = u.data[n + 1]?.[at];
      if (drawn === null || drawn === undefined) continue;
      const away = Math.abs(u.valToPos(drawn, u.series[n + 1].scale ?? 'y') - (u.cursor.top ?? 0));
      if (away < best) [found, best] = [n, away];
    }
    return found;
  };

  return {
    set: (nextSeries, nextRaw, props) => { series = nextSeries; raw = nextRaw; mode = props.tooltip ?? 'multi'; sort = props.sort; shownAt = -1; },
    update: u => {
      const { idx: at, left, top } = u.cursor;
      const own = owner.matches(':hover') || owner.contains(document.activeElement);
      if (mode === 'none' || !own || at === null || at === undefined || left === undefined || left < 0 || !series.length) { hide(); return; }
      const into = box ?? make();
      const nearest = nearestTo(u, at);
      const key = at * 1000 + nearest;
      if (key !== shownAt) fill(into, u.data[0][at], at, nearest);
      shownAt = key;
      into.hidden = false;
      const frame = u.over.getBoundingClientRect();
      const [x, y] = [frame.left + left, frame.top + (top ?? 0)];
      const { offsetWidth: width, offsetHeight: height } = into;
      into.style.left = `${Math.max(4, x + 16 + width > innerWidth ? x - width - 16 : x + 16)}px`;
      into.style.top = `${Math.max(4, Math.min(y + 12, innerHeight - height - 8))}px`;
    },
    remove: () => { box?.remove(); box = undefined; },
  };
}
