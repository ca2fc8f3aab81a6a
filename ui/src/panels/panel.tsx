/** A panel's frame: title, state, and its view; asks for data only while it can be seen. */

import type { ReadonlySignal } from '@preact/signals';
import type { ComponentType } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { safeHref } from '../format/links.ts';
import type { Panel } from '../model/dashboard.ts';
import { interpolate } from '../model/interpolate.ts';
import type { Span } from '../model/time.ts';
import type { State } from '../model/vars.ts';
import { setRange, span } from '../range.ts';
import { Icon } from '../widgets/icons.tsx';
import { Popover } from '../widgets/popover.tsx';
import { BarGauge } from './bargauge.tsx';
import { loadPanel, panelScope, type Asked } from './data.ts';
import { Gauge } from './gauge.tsx';
import { LogsPanel } from './logs.tsx';
import { PieChart } from './piechart.tsx';
import { Stat } from './stat.tsx';
import { TablePanel } from './table.tsx';
import { TextPanel } from './text.tsx';
import { TimeSeries } from './timeseries.tsx';
import type { PanelData, PanelProps } from './view.ts';

const VIEWS: Record<string, ComponentType<PanelProps>> = {
  timeseries: TimeSeries, stat: Stat, gauge: Gauge, bargauge: BarGauge, table: TablePanel, text: TextPanel, logs: LogsPanel, piechart: PieChart,
  'grafana-piechart-panel': PieChart,
};
/** Types that need no query to have something to show. */
const STILL = new Set(['text']);

export interface PanelContext {
  state: ReadonlySignal<State>;
  ready: ReadonlySignal<boolean>;
  scrapeMs: ReadonlySignal<number>;
  syncKey?: string;
}

interface Found { data?: PanelData; error?: string; busy: boolean }

/** Asks again whenever the range, the variables or the width change, as long as the panel is in view. */
function useData(panel: Panel, context: PanelContext, element: { current: HTMLElement | null }): Found {
  const [found, setFound] = useState<Found>({ busy: true });
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const watch = new IntersectionObserver(entries => setSeen(entries[entries.length - 1].isIntersecting), { rootMargin: '250px 0px' });
    watch.observe(element.current!);
    return () => watch.disconnect();
  }, []);
  const [state, now, ready, scrapeMs] = [context.state.value, span.value, context.ready.value, context.scrapeMs.value];
  const done = useRef<unknown[]>([]);
  useEffect(() => {
    const wanted = [state, now, panel, scrapeMs];
    if (!seen || !ready || wanted.every((each, at) => each === done.current[at])) return undefined;
    if (!VIEWS[panel.type] || STILL.has(panel.type) || !panel.targets.length) { setFound({ busy: false }); return undefined; }
    const abort = new AbortController();
    setFound(before => ({ ...before, busy: true }));
    const asked: Asked = { panel, span: now, state, width: element.current!.clientWidth, scrapeMs };
    loadPanel(asked, abort.signal).then(
      data => { if (!abort.signal.aborted) { done.current = wanted; setFound({ data, busy: false }); } },
      (error: unknown) => { if (!abort.signal.aborted) setFound(before => ({ data: before.data, error: (error as Error).message, busy: false })); },
    );
    return () => abort.abort();
  }, [seen, ready, state, now, panel, scrapeMs]);
  return found;
}

export function PanelFrame({ panel, context, style }: { panel: Panel; context: PanelContext; style?: Record<string, string> }) {
  const root = useRef<HTMLElement>(null);
  const { data, error, busy } = useData(panel, context, root);
  const { scope } = panelScope({ panel, span: span.value, state: context.state.value, width: 500, scrapeMs: context.scrapeMs.value });
  const title = interpolate(panel.title, scope);
  const View = VIEWS[panel.type];
  const id = `panel-${panel.id}-${Object.values(panel.scoped ?? {}).join('-')}`;
  const zoom = (from: number, to: number): void => setRange({ from: String(from), to: String(to) });
  const drawn = View && (STILL.has(panel.type) || data);
  return (
    <section ref={root} class={`panel type-${panel.type}${panel.transparent ? ' transparent' : ''}${panel.gridPos.w <= 6 && panel.gridPos.h <= 6 ? ' small' : ''}`} style={style} aria-labelledby={title ? id : undefined} aria-label={title ? undefined : panel.type} aria-busy={busy} data-drawn={drawn ? '' : undefined}>
      {busy && data && <div class="panel-busy" />}
      {(title || panel.description) && (
        <header class="panel-head">
          <h3 id={id} title={title}>{title}</h3>
          <ExploreLink panel={panel} context={context} />
          {panel.description && <Popover label={`About ${title}`} button={<Icon name="info" size={13} />} class="panel-about">{() => <p class="about">{interpolate(panel.description!, scope)}</p>}</Popover>}
          {panel.links.map(link => { const href = safeHref(interpolate(String(link?.url ?? ''), scope, 'url')); return href && <a class="panel-link" href={href} title={link.title} aria-label={link.title || 'Link'} target={link.targetBlank ? '_blank' : undefined} rel="noreferrer"><Icon name="link" size={13} /></a>; })}
          <Notices notices={data?.notices ?? []} error={data ? error : undefined} />
        </header>
      )}
      <div class="panel-body">
        {!View ? <Unknown panel={panel} /> : error && !data ? <div class="panel-error" role="alert">{error}</div> :
          drawn ? <View panel={panel} data={data ?? EMPTY} scope={scope} syncKey={context.syncKey} onZoom={zoom} /> :
          !busy ? <div class="panel-empty">No query</div> : null}
      </div>
    </section>
  );
}

const EMPTY: PanelData = { frames: [], lines: [], span: { from: 0, to: 1 } as Span, notices: [] };

function Unknown({ panel }: { panel: Panel }) {
  return <div class="panel-empty"><p>A panel of type <b>{panel.type}</b></p><p class="muted">This kind is not drawn yet; the dashboard keeps it as it is.</p></div>;
}

function Notices({ notices, error }: { notices: string[]; error?: string }) {
  const all = error ? [error, ...notices] : notices;
  if (!all.length) return null;
  return <Popover label={`${all.length} notice${all.length === 1 ? '' : 's'}`} class={`panel-notice${error ? ' bad' : ''}`} button={<Icon name="warn" size={13} />}>{() => <ul class="about">{all.map(text => <li>{text}</li>)}</ul>}</Popover>;
}

function ExploreLink({ panel, context }: { panel: Panel; context: PanelContext }) {
  const target = panel.targets.find(each => !each.unable);
  if (!target) return null;
  const open = (event: Event): void => {
    const { scope } = panelScope({ panel, span: span.value, state: context.state.value, width: 800, scrapeMs: context.scrapeMs.value }, target);
    (event.currentTarget as HTMLAnchorElement).href = `/explore?${new URLSearchParams({ kind: target.kind, expr: interpolate(target.expr, scope, target.kind), from: new URL(location.href).searchParams.get('from') ?? '', to: new URL(location.href).searchParams.get('to') ?? '' })}`;
  };
  return <a class="panel-link hover-only" href="/explore" onPointerDown={open} onFocus={open} onClick={open} title="Explore this query" aria-label={`Explore the query of ${panel.title}`}><Icon name="explore" size={13} /></a>;
}
