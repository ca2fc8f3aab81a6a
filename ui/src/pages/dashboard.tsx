/** A dashboard: its variables, its rows, its panels. The address carries range, refresh and variables. */

import { batch, signal, useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { data, get } from '../api.ts';
import { loadVariables } from '../data/lookup.ts';
import { setZone } from '../format/dates.ts';
import { safeHref } from '../format/links.ts';
import { importDashboard, type Dashboard, type Section } from '../model/dashboard.ts';
import { interpolate } from '../model/interpolate.ts';
import { SCRAPE_INTERVAL_MS } from '../model/interval.ts';
import { compact } from '../model/layout.ts';
import { expand } from '../model/repeat.ts';
import { parseDuration } from '../model/time.ts';
import { scopeOf, toParams, type Chosen, type State } from '../model/vars.ts';
import { PanelFrame, type PanelContext } from '../panels/panel.tsx';
import { adopt, span } from '../range.ts';
import { setParams, url } from '../router.ts';
import { Combobox } from '../widgets/combobox.tsx';
import { Icon } from '../widgets/icons.tsx';
import { useLoad } from '../widgets/load.ts';
import { Failure } from '../widgets/notices.tsx';
import { Popover } from '../widgets/popover.tsx';
import { Title } from '../widgets/title.tsx';

const scrapeMs = signal(SCRAPE_INTERVAL_MS);
let scrapeAsked = false;

/** Learns how often targets are scraped, so that $__rate_interval spans enough samples. */
function learnScrapeInterval(): void {
  if (scrapeAsked) return;
  scrapeAsked = true;
  data<{ yaml?: string }>('/api/v1/status/config').then(({ yaml }) => {
    const found = parseDuration(/^global:[\s\S]*?^\s+scrape_interval:\s*"?(\w+)"?/m.exec(yaml ?? '')?.[1]);
    if (found && found > scrapeMs.value) scrapeMs.value = found;
  }).catch(() => undefined);
}

export function DashboardPage({ uid }: { uid?: string }) {
  const { value, error } = useLoad(abort => get<{ dashboard: unknown; meta: any }>(`/api/dashboards/uid/${encodeURIComponent(uid!)}`, undefined, abort), [uid]);
  const read = useMemo(() => {
    if (!value) return undefined;
    try {
      return importDashboard(value.dashboard);
    } catch (problem) {
      return (problem as Error).message;
    }
  }, [value]);
  if (error && !read) return <><Title text="Dashboard" /><Failure text={`This dashboard cannot be shown: ${error}`} /></>;
  if (typeof read === 'string') return <Failure text={read} />;
  return read ? <Board dashboard={read} /> : <div class="loading" aria-busy="true" />;
}

function Board({ dashboard }: { dashboard: Dashboard }) {
  const state = useSignal<State>(new Map());
  const ready = useSignal(false);
  const running = useRef<AbortController | undefined>(undefined);
  const [error, setError] = useState('');
  useMemo(() => {
    setZone(dashboard.timezone);
    adopt(dashboard.time, dashboard.refresh);
    learnScrapeInterval();
  }, [dashboard]);

  const load = async (changed?: ReadonlySet<string>): Promise<void> => {
    running.current?.abort();
    const abort = new AbortController();
    running.current = abort;
    const found = await loadVariables(dashboard, url.peek().searchParams, span.peek(), abort.signal, state.peek(), changed).catch((problem: Error) => setError(problem.message));
    if (found && !abort.signal.aborted) batch(() => { if (!same(state.peek(), found)) state.value = found; ready.value = true; });
  };
  useEffect(() => {
    void load();
    return () => { running.current?.abort(); setZone(undefined); };
  }, [dashboard]);
  // Variables that follow the time range are asked again when the range itself is moved, not at every tick.
  const width = span.value.to - span.value.from;
  const isFirst = useRef(true);
  useEffect(() => {
    if (isFirst.current) { isFirst.current = false; return; }
    const following = new Set(dashboard.variables.filter(each => each.refresh === 2).map(each => each.name));
    if (following.size) void load(following);
  }, [width, Math.round(span.value.from / Math.max(width, 1))]);

  const change = (name: string, values: string[]): void => {
    const next = new Map(state.peek());
    const chosen = next.get(name)!;
    next.set(name, { ...chosen, values });
    setParams(Object.fromEntries(grouped(next)));
    state.value = next;
    if (dashboard.variables.some(each => JSON.stringify([each.query, each.regex]).includes(name))) {
      const dependents = new Set(dashboard.variables.filter(each => each.name !== name && new RegExp(String.raw`[$[{]${name}\b`).test(JSON.stringify([each.query, each.regex]))).map(each => each.name));
      if (dependents.size) void load(dependents);
    }
  };

  const context: PanelContext = useMemo(() => ({ state, ready, scrapeMs, syncKey: dashboard.crosshair ? dashboard.uid || 'board' : undefined }), [dashboard]);
  const sections = useMemo(() => expand(dashboard, state.value), [dashboard, state.value]);
  return (
    <div class="board">
      <Title text={dashboard.title}>{dashboard.tags.slice(0, 3).map(tag => <span class="tag">{tag}</span>)}</Title>
      {error && <Failure text={error} />}
      <Controls dashboard={dashboard} state={state.value} change={change} />
      {sections.map(section => <SectionView key={section.id} section={section} context={context} />)}
      {!sections.length && <div class="empty">This dashboard has no panels.</div>}
    </div>
  );
}

function same(a: State, b: State): boolean {
  const text = (state: State): string => JSON.stringify([...state].map(([name, { values, options, error }]) => [name, values, options, error]));
  return a.size === b.size && text(a) === text(b);
}

function grouped(state: State): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const [key, value] of toParams(state)) found.set(key, [...(found.get(key) ?? []), value]);
  return found;
}

function Controls({ dashboard, state, change }: { dashboard: Dashboard; state: State; change: (name: string, values: string[]) => void }) {
  const shown = [...state.values()].filter(({ variable }) => variable.hide !== 2 && variable.type !== 'constant' && variable.type !== 'datasource');
  const links = dashboard.links.filter(link => link?.type === 'link' && safeHref(link.url) || link?.type === 'dashboards');
  if (!shown.length && !links.length) return null;
  return (
    <div class="controls" role="group" aria-label="Variables">
      {shown.map(chosen => <VariableControl key={chosen.variable.name} chosen={chosen} change={change} />)}
      <span class="spacer" />
      {links.map(link => <DashboardLink link={link} state={state} own={dashboard.uid} />)}
    </div>
  );
}

function VariableControl({ chosen, change }: { chosen: Chosen; change: (name: string, values: string[]) => void }) {
  const { variable, options, values, error } = chosen;
  const label = variable.hide === 1 ? '' : variable.label;
  if (variable.type === 'textbox') {
    return (
      <label class="variable"><span class="variable-label">{label}</span>
        <input value={values[0] ?? ''} spellcheck={false} size={16} aria-label={variable.label} onChange={event => change(variable.name, [event.currentTarget.value])} /></label>
    );
  }
  return <Combobox label={label || variable.name} options={options} values={values} multi={variable.multi} all={variable.includeAll} error={error} onChange={next => change(variable.name, next)} />;
}

function DashboardLink({ link, state, own }: { link: any; state: State; own: string }) {
  const params = new URLSearchParams();
  if (link.keepTime) for (const key of ['from', 'to']) { const found = url.value.searchParams.get(key); if (found) params.set(key, found); }
  if (link.includeVars) for (const [key, value] of toParams(state)) params.append(key, value);
  const query = params.toString();
  const withQuery = (href: string): string => (query ? `${href}${href.includes('?') ? '&' : '?'}${query}` : href);
  if (link.type === 'link') {
    const href = safeHref(interpolate(String(link.url), scopeOf(state), 'url'));
    return href ? <a class="button" href={withQuery(href)} target={link.targetBlank ? '_blank' : undefined} rel="noreferrer" title={link.tooltip}><Icon name="link" size={13} />{link.title || href}</a> : null;
  }
  return (
    <Popover label={link.title || 'Dashboards'} side="right" button={<><Icon name="dashboards" size={14} />{link.title || 'Dashboards'}</>}>
      {() => <Linked tags={link.tags ?? []} withQuery={withQuery} own={own} />}
    </Popover>
  );
}

function Linked({ tags, withQuery, own }: { tags: string[]; withQuery: (href: string) => string; own: string }) {
  const { value, error } = useLoad(abort => get<any[]>('/api/search', { tag: tags, limit: 100 }, abort), []);
  if (error) return <Failure text={error} />;
  return <ul class="menu">{(value ?? []).filter(each => each.uid !== own).map(each => <li><a href={withQuery(`/d/${each.uid}`)}>{each.title}</a></li>)}</ul>;
}

function SectionView({ section, context }: { section: Section; context: PanelContext }) {
  const [collapsed, setCollapsed] = useState(section.collapsed);
  useEffect(() => {
    const all = (event: Event): void => { if (section.headed) setCollapsed((event as CustomEvent<boolean>).detail); };
    addEventListener('wk-rows', all);
    return () => removeEventListener('wk-rows', all);
  }, []);
  const places = useMemo(() => compact(section.panels), [section.panels]);
  const title = interpolate(section.title, scopeOf(context.state.value, {}, section.scoped));
  return (
    <section class="section" aria-label={title || undefined}>
      {section.headed && (
        <h2 class="section-head"><button type="button" aria-expanded={!collapsed} onClick={() => setCollapsed(!collapsed)}><Icon name={collapsed ? 'right' : 'down'} size={12} />{title || 'Row'}{collapsed && <small class="muted">{section.panels.length} panels</small>}</button></h2>
      )}
      {!collapsed && section.panels.length > 0 && (
        <div class="grid">
          {section.panels.map((panel, at) => (
            <PanelFrame key={`${panel.id}-${at}-${Object.values(panel.scoped ?? {}).join()}`} panel={panel} context={context} style={{
              gridColumn: `${places[at].x + 1} / span ${places[at].w}`, gridRow: `${places[at].y + 1} / span ${places[at].h}`,
              '--rows': String(panel.gridPos.h),
            }} />
          ))}
        </div>
      )}
    </section>
  );
}
