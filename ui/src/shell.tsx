/** The frame: navigation at the left, the bar at the top, the page. */

import { computed } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { signOut, user } from './api.ts';
import { helpOpen, KEYS } from './keys.ts';
import { Mark } from './pages/signin.tsx';
import { path, url } from './router.ts';
import { theme, toggleTheme } from './theme.ts';
import { Icon } from './widgets/icons.tsx';
import { Failure } from './widgets/notices.tsx';
import { Popover } from './widgets/popover.tsx';
import { TimePicker } from './widgets/timepicker.tsx';

type Page = ComponentType<{ uid?: string }>;
type Loader = () => Promise<Page>;

const PAGES: Record<string, Loader> = {
  overview: () => import('./pages/overview.tsx').then(page => page.Overview),
  dashboards: () => import('./pages/dashboards.tsx').then(page => page.Dashboards),
  dashboard: () => import('./pages/dashboard.tsx').then(page => page.DashboardPage),
  explore: () => import('./pages/explore.tsx').then(page => page.Explore),
  alerts: () => import('./pages/alerts.tsx').then(page => page.Alerts),
  targets: () => import('./pages/targets.tsx').then(page => page.Targets),
  logs: () => import('./pages/logs.tsx').then(page => page.Logs),
};

const NAV = [
  ['/', 'overview', 'Overview'], ['/dashboards', 'dashboards', 'Dashboards'], ['/explore', 'explore', 'Explore'],
  ['/alerts', 'alerts', 'Alerts'], ['/targets', 'targets', 'Targets'], ['/logs', 'logs', 'Logs'],
] as const;

interface Place { page: string; uid?: string; timed: boolean }

const place = computed<Place>(() => {
  const [head, uid] = path.value.split('/').filter(Boolean);
  if (head === 'd' && uid) return { page: 'dashboard', uid: decodeURIComponent(uid), timed: true };
  if (head === 'graph') return { page: 'explore', timed: true };
  if (head === 'silences') return { page: 'alerts', timed: false };
  if (!head) return { page: 'overview', timed: true };
  return PAGES[head] ? { page: head, timed: head === 'explore' || head === 'logs' } : { page: '', timed: false };
});

const loaded = new Map<string, Page>();

/** Begins to fetch the code of the page that the address names, while the server is asked who we are. */
export function preload(): void {
  const { page } = place.value;
  void PAGES[page]?.().then(found => loaded.set(page, found)).catch(() => undefined);
}

function Current() {
  const { page, uid } = place.value;
  const [, redraw] = useState(0);
  const [error, setError] = useState('');
  useEffect(() => {
    setError('');
    // Asked again even when it has come since this was drawn: a module that is here costs nothing.
    PAGES[page]?.().then(found => { loaded.set(page, found); redraw(turn => turn + 1); }, () => setError('cannot load this page: reload to get the newest version'));
  }, [page]);
  if (!PAGES[page]) return <div class="empty"><h1>There is nothing here</h1><p>No page has the address {path.value}. <a href="/">Go to the overview</a></p></div>;
  const Found = loaded.get(page);
  if (error) return <Failure text={error} />;
  return Found ? <Found key={uid ?? page} uid={uid} /> : <div class="loading" aria-busy="true" />;
}

function Nav() {
  const here = place.value.page === 'dashboard' ? 'dashboards' : place.value.page;
  const { searchParams } = url.value;
  const kept = new URLSearchParams();
  for (const key of ['from', 'to']) { const value = searchParams.get(key); if (value) kept.set(key, value); }
  const query = kept.toString();
  return (
    <nav class="nav" aria-label="Main">
      <a class="nav-brand" href="/" title="watchkeeper" aria-label="watchkeeper: overview"><Mark /></a>
      {NAV.map(([href, page, name]) => (
        <a href={query ? `${href}?${query}` : href} class={here === page ? 'here' : ''} aria-current={here === page ? 'page' : undefined}><Icon name={page} size={18} /><span>{name}</span></a>
      ))}
    </nav>
  );
}

function Account() {
  const { name, login, role, open } = user.value!;
  return (
    <Popover label="Account" side="right" button={<><Icon name="user" /><span class="wide-only">{open ? role : login}</span></>}>
      {() => (
        <div class="account">
          <p><b>{name}</b><br /><span class="muted">{role}{open ? ' · no sign-in needed' : ''}</span></p>
          <button type="button" class="button" onClick={() => { helpOpen.value = true; }}>Keyboard keys</button>
          {!open && <button type="button" class="button" onClick={() => void signOut()}><Icon name="out" />Sign out</button>}
          <p class="muted small"><a href="/licences.txt" target="_blank" rel="noreferrer">Licences</a></p>
        </div>
      )}
    </Popover>
  );
}

function Help() {
  if (!helpOpen.value) return null;
  return (
    <dialog class="dialog" aria-label="Keyboard keys" ref={element => { if (element && !element.open) element.showModal(); }} onClose={() => { helpOpen.value = false; }}>
      <header><h2>Keyboard</h2><button type="button" class="button icon-only" aria-label="Close" onClick={() => { helpOpen.value = false; }}><Icon name="close" /></button></header>
      <dl class="keys">{KEYS.map(([keys, what]) => <div><dt>{keys.split(' ').map(key => <kbd>{key}</kbd>)}</dt><dd>{what}</dd></div>)}</dl>
    </dialog>
  );
}

export function Shell() {
  return (
    <div class="shell">
      <a class="skip" href="#page" onClick={event => { event.preventDefault(); document.getElementById('page')?.focus(); }}>Skip to the page</a>
      <Nav />
      <header class="bar">
        <div id="bar-title" class="bar-title" />
        <div class="bar-tools">
          {place.value.timed && <TimePicker />}
          <button type="button" class="button icon-only" title="Light or dark (c t)" aria-label={`Switch to ${theme.value === 'dark' ? 'light' : 'dark'}`} onClick={toggleTheme}><Icon name={theme.value === 'dark' ? 'sun' : 'moon'} /></button>
          <Account />
        </div>
      </header>
      <main id="page" tabIndex={-1}><Current /></main>
      <Help />
    </div>
  );
}
