/** Keyboard: Grafana's keys. Two-key ones are pressed one after the other. */

import { signal } from '@preact/signals';
import { refreshNow, setRange, shiftRange, span, zoomOut } from './range.ts';
import { navigate, path } from './router.ts';
import { toggleTheme } from './theme.ts';

export const helpOpen = signal(false);

export const KEYS: readonly (readonly [keys: string, what: string, run: () => void])[] = [
  ['g h', 'Overview', () => navigate('/')],
  ['g d', 'Dashboards', () => navigate('/dashboards')],
  ['g e', 'Explore', () => navigate('/explore')],
  ['g a', 'Alerts', () => navigate('/alerts')],
  ['g t', 'Targets', () => navigate('/targets')],
  ['g l', 'Logs', () => navigate('/logs')],
  ['d r', 'Refresh', refreshNow],
  ['t z', 'Zoom the time range out', zoomOut],
  ['t left', 'Shift the time range back', () => shiftRange(-1)],
  ['t right', 'Shift the time range on', () => shiftRange(1)],
  ['t a', 'Make the time range absolute', () => setRange({ from: String(span.value.from), to: String(span.value.to) })],
  ['d k', 'Hide the navigation', () => document.documentElement.toggleAttribute('data-kiosk')],
  ['d l', 'Hide or show legends', () => document.documentElement.toggleAttribute('data-no-legends')],
  ['d shift+c', 'Collapse all rows', () => dispatchEvent(new CustomEvent('wk-rows', { detail: true }))],
  ['d shift+e', 'Expand all rows', () => dispatchEvent(new CustomEvent('wk-rows', { detail: false }))],
  ['c t', 'Light or dark', toggleTheme],
  ['/', 'Search on this page', () => document.querySelector<HTMLElement>('[data-search]')?.focus()],
  ['?', 'This help', () => { helpOpen.value = !helpOpen.value; }],
];

let first = '';
let at = 0;

function name(event: KeyboardEvent): string {
  const key = event.key.replace(/^Arrow/, '').toLowerCase();
  return event.shiftKey && /^[a-z]$/.test(key) ? `shift+${key}` : key;
}

addEventListener('keydown', event => {
  const target = event.target as HTMLElement;
  if (event.key === 'Escape' && helpOpen.value) { helpOpen.value = false; return; }
  if ((event.metaKey || event.ctrlKey) && event.key === 'k') {
    event.preventDefault();
    if (path.value !== '/dashboards') navigate('/dashboards');
    setTimeout(() => document.querySelector<HTMLElement>('[data-search]')?.focus(), 100);
    return;
  }
  if (event.metaKey || event.ctrlKey || event.altKey || target.closest?.('input, textarea, select, [contenteditable]')) return;
  const pressed = name(event);
  const both = Date.now() - at < 1200 && first ? `${first} ${pressed}` : pressed;
  const found = KEYS.find(([keys]) => keys === both) ?? KEYS.find(([keys]) => keys === pressed);
  if (found) {
    event.preventDefault();
    first = '';
    found[2]();
    return;
  }
  first = pressed === 'shift' ? first : pressed;
  at = Date.now();
});
