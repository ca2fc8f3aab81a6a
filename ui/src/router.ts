/** Where we are. Links are plain <a href>; clicks on those within the site are taken here. */

import { computed, signal } from '@preact/signals';

export const url = signal(new URL(location.href));
export const path = computed(() => url.value.pathname);

/** Takes links as Alertmanager's templates write them: #/alerts?receiver=…, #/silences/new?filter={a="b"}. */
function fromHash(): void {
  const [place, query = ''] = location.hash.slice(1).split('?');
  if (!place.startsWith('/alerts') && !place.startsWith('/silences')) return;
  const asked = new URLSearchParams(query);
  const next = new URL('/alerts', location.href);
  next.searchParams.set('tab', place.startsWith('/alerts') ? 'groups' : 'silences');
  if (place.startsWith('/silences/new')) next.searchParams.set('new', '1');
  for (const [, name, value] of (asked.get('filter') ?? '').matchAll(/([^\s{,=]+)="((?:[^"\\]|\\.)*)"/g)) next.searchParams.append('match', `${name}=${value.replace(/\\(.)/g, '$1')}`);
  const receiver = asked.get('receiver');
  if (receiver) next.searchParams.set('receiver', receiver);
  history.replaceState(null, '', next);
  url.value = next;
}
fromHash();

/** Goes to another page of the site, or replaces the address of this one. */
export function navigate(to: string, replace = false): void {
  const next = new URL(to, location.href);
  if (next.href === location.href) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', next);
  url.value = next;
  if (!replace) scrollTo(0, 0);
}

/** Sets and removes parameters of the address without a new entry in the history. */
export function setParams(changes: Record<string, string | string[] | undefined>, drop?: (key: string) => boolean): void {
  const next = new URL(location.href);
  if (drop) for (const key of [...next.searchParams.keys()]) if (drop(key)) next.searchParams.delete(key);
  for (const [key, value] of Object.entries(changes)) {
    next.searchParams.delete(key);
    for (const each of Array.isArray(value) ? value : value === undefined || value === '' ? [] : [value]) next.searchParams.append(key, each);
  }
  navigate(next.href, true);
}

addEventListener('popstate', () => { url.value = new URL(location.href); });

document.addEventListener('click', event => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
  if (link.pathname.startsWith('/api/') || link.pathname.startsWith('/licences')) return;
  event.preventDefault();
  navigate(link.href);
});
