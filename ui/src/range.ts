/** The time range that every page shares, and the clock of its refresh. */

import { batch, effect, signal } from '@preact/signals';
import { parseDuration, parseRange, type Range, type Span } from './model/time.ts';
import { setParams, url } from './router.ts';

export const range = signal<Range>({ from: 'now-1h', to: 'now' });
export const refresh = signal('');
/** The range in Unix ms as of the last refresh: what pages ask for. */
export const span = signal<Span>(parseRange(range.value, Date.now())!);

/** Moves the range to now: everything on the page that follows it asks again. */
export function refreshNow(): void {
  const found = parseRange(range.value, Date.now());
  if (found) span.value = found;
}

/** Chooses another range and writes it into the address. */
export function setRange(next: Range): void {
  const found = parseRange(next, Date.now());
  if (!found) return;
  batch(() => { range.value = next; span.value = found; });
  setParams({ from: next.from, to: next.to });
}

export function setRefresh(every: string): void {
  refresh.value = every;
  setParams({ refresh: every || undefined });
}

/** Takes range and refresh from the address, or else from what the page prefers. */
export function adopt(preferred?: Range, preferredRefresh?: string): void {
  const params = url.peek().searchParams;
  const asked = { from: params.get('from') ?? preferred?.from ?? range.peek().from, to: params.get('to') ?? preferred?.to ?? range.peek().to };
  const found = parseRange(asked, Date.now());
  batch(() => {
    if (found) { range.value = asked; span.value = found; }
    refresh.value = params.get('refresh') ?? preferredRefresh ?? refresh.peek();
  });
}

export function zoomOut(): void {
  const { from, to } = span.value;
  const half = (to - from) / 2;
  const end = Math.min(to + half, Date.now());
  setRange({ from: String(Math.round(end - 4 * half)), to: String(Math.round(end)) });
}

export function shiftRange(direction: -1 | 1): void {
  const { from, to } = span.value;
  const by = ((to - from) / 2) * direction;
  setRange({ from: String(Math.round(from + by)), to: String(Math.round(to + by)) });
}

effect(() => {
  const every = parseDuration(refresh.value);
  if (!every) return undefined;
  const timer = setInterval(() => {
    if (!document.hidden && range.peek().to.startsWith('now')) refreshNow();
  }, Math.max(every, 1000));
  return () => clearInterval(timer);
});
document.addEventListener('visibilitychange', () => {
  const every = parseDuration(refresh.peek());
  if (!document.hidden && every && Date.now() - span.peek().to > every) refreshNow();
});
