/** Ask anything: PromQL as graph or table, LogQL as lines or graph. The address carries the query. */

import { useEffect, useMemo, useState } from 'preact/hooks';
import { askBatch } from '../api.ts';
import { toFrames, toLines } from '../data/answers.ts';
import { configure } from '../data/overrides.ts';
import { importPanel, type Panel, type Target } from '../model/dashboard.ts';
import { intervals, stepFor } from '../model/interval.ts';
import { durationText, parseDuration } from '../model/time.ts';
import { TablePanel } from '../panels/table.tsx';
import { TimeSeries } from '../panels/timeseries.tsx';
import type { PanelData } from '../panels/view.ts';
import { adopt, setRange, span } from '../range.ts';
import { navigate, setParams, url } from '../router.ts';
import { Editor } from '../widgets/editor.tsx';
import { Icon } from '../widgets/icons.tsx';
import { useLoad } from '../widgets/load.ts';
import { LogView } from '../widgets/logview.tsx';
import { Failure } from '../widgets/notices.tsx';
import { Popover } from '../widgets/popover.tsx';
import { Title } from '../widgets/title.tsx';

type Kind = 'promql' | 'logql';
interface Past { kind: Kind; expr: string }

const HISTORY = 'wk-history';

function history(): Past[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(HISTORY) ?? '[]');
    return Array.isArray(found) ? found.filter(each => typeof each?.expr === 'string') : [];
  } catch {
    return [];
  }
}

function remember(past: Past): void {
  try {
    localStorage.setItem(HISTORY, JSON.stringify([past, ...history().filter(each => each.expr !== past.expr || each.kind !== past.kind)].slice(0, 50)));
  } catch {
    // a private window: the history is as long as the page
  }
}

function panelOf(style: string, stacked: boolean): Panel {
  const custom = { drawStyle: style === 'bars' ? 'bars' : 'line', lineWidth: 1, fillOpacity: style === 'bars' || stacked ? 50 : 4, showPoints: 'auto', stacking: { mode: stacked ? 'normal' : 'none', group: 'A' } };
  return importPanel({ id: 1, type: 'timeseries', title: '', fieldConfig: { defaults: { custom, unit: 'short' }, overrides: [] }, options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi', sort: 'desc' } } });
}

const TABLE = importPanel({ id: 2, type: 'table', title: '', options: {}, fieldConfig: { defaults: {}, overrides: [] } });
const NO_SCOPE = (): undefined => undefined;

/** Prometheus' own links to its graph page, as alerts carry them, become ours. */
function translate(params: URLSearchParams): void {
  const expr = params.get('g0.expr');
  if (expr === null) return;
  const back = params.get('g0.range_input');
  const next = new URLSearchParams({ kind: 'promql', expr, tab: params.get('g0.tab') === '1' ? 'table' : 'graph' });
  if (back && parseDuration(back)) { next.set('from', `now-${back}`); next.set('to', 'now'); }
  navigate(`/explore?${next}`, true);
}

export function Explore() {
  useMemo(() => { translate(url.peek().searchParams); adopt(); }, []);
  const params = url.value.searchParams;
  const kind: Kind = params.get('kind') === 'logql' ? 'logql' : 'promql';
  const expr = params.get('expr') ?? '';
  const tab = params.get('tab') ?? 'graph';
  const [text, setText] = useState(expr);
  useEffect(() => setText(expr), [expr]);
  const run = (next: string): void => {
    if (next.trim()) remember({ kind, expr: next });
    if (next === expr) again();
    else setParams({ expr: next });
  };
  const { value, error, busy, again } = useLoad(async abort => (expr.trim() ? ask(kind, expr, tab, abort) : undefined), [kind, expr, tab, span.value]);
  return (
    <div class="page">
      <Title text="Explore" />
      <div class="query-bar">
        <div class="segmented" role="group" aria-label="Language">
          {(['promql', 'logql'] as const).map(each => <button type="button" aria-pressed={kind === each} onClick={() => setParams({ kind: each, expr: undefined, tab: undefined })}>{each === 'promql' ? 'Metrics' : 'Logs'}</button>)}
        </div>
        <Editor kind={kind} value={text} label="Query" onChange={setText} onRun={run} />
        <button type="button" class="button primary" onClick={() => run(text)}><Icon name="play" size={13} />Run</button>
        <Popover label="Query history" side="right" button={<Icon name="history" />}>{close => <History pick={past => { close(); setParams({ kind: past.kind, expr: past.expr }); }} />}</Popover>
      </div>
      {error && <Failure text={error} />}
      {!expr && <Hints kind={kind} />}
      {expr && <Result value={value} tab={tab} busy={busy} kind={kind} />}
    </div>
  );
}

interface Answered { data: PanelData; took: number; step: number; lines: boolean }

async function ask(kind: Kind, expr: string, tab: string, abort: AbortSignal): Promise<Answered> {
  const own = span.peek();
  const { interval } = intervals(own, Math.max(300, Math.min(innerWidth - 140, 1200)), undefined, 15_000);
  const step = stepFor(own, interval);
  const instant = kind === 'promql' && tab === 'table';
  const began = performance.now();
  const unit = !instant && step > 30_000 ? step : 1000; // long steps stand on whole steps, short ones stay fresh
  const [from, to] = [Math.floor(own.from / unit) * unit, Math.floor(own.to / unit) * unit];
  const [answer] = await askBatch(from, kind === 'logql' ? own.to : to, [{ kind, expr, instant, step, limit: kind === 'logql' ? 1000 : undefined }], abort);
  if (answer.status === 'error') throw new Error(answer.error ?? 'the query failed');
  const target: Target = { refId: 'A', kind, expr, instant, factor: 1, format: instant ? 'table' : 'time_series' };
  const frames = configure(toFrames(answer, target, undefined, true), { defaults: { unit: instant ? undefined : 'short', custom: undefined }, overrides: [] });
  return { data: { frames, lines: toLines(answer), span: own, notices: answer.warnings ?? [] }, took: performance.now() - began, step, lines: answer.type === 'streams' };
}

function Result({ value, tab, busy, kind }: { value?: Answered; tab: string; busy: boolean; kind: Kind }) {
  const [style, setStyle] = useState('line');
  const stacked = style === 'stacked';
  const panel = useMemo(() => panelOf(style, stacked), [style]);
  const data = useMemo(() => value && { ...value.data, frames: tab === 'table' ? value.data.frames : configure(value.data.frames, panel.fieldConfig) }, [value, panel, tab]);
  if (!value || !data) return busy ? <div class="loading" aria-busy="true" /> : null;
  const zoom = (from: number, to: number): void => setRange({ from: String(from), to: String(to) });
  const count = value.lines ? `${data.lines.length} lines` : `${tab === 'table' ? (data.frames[0]?.length ?? 0) : data.frames.length} series`;
  const isGraph = !value.lines && (tab !== 'table' || kind === 'logql');
  return (
    <section class={`card result ${isGraph ? 'graph' : ''}`} aria-busy={busy}>
      <div class="card-head">
        {kind === 'promql' && (
          <div class="segmented" role="tablist" aria-label="Shown as">
            {['graph', 'table'].map(each => <button type="button" role="tab" aria-selected={tab === each} onClick={() => setParams({ tab: each === 'graph' ? undefined : each })}>{each === 'graph' ? 'Graph' : 'Table'}</button>)}
          </div>
        )}
        {isGraph && <select aria-label="Drawn as" value={style} onChange={event => setStyle(event.currentTarget.value)}><option value="line">Lines</option><option value="stacked">Stacked</option><option value="bars">Bars</option></select>}
        <span class="muted small" aria-live="polite">{count} · {isGraph && `step ${durationText(value.step)} · `}{Math.round(value.took)} ms</span>
        <span class="spacer" />
      </div>
      {data.notices.map(text => <p class="muted small"><Icon name="warn" size={12} /> {text}</p>)}
      {value.lines ? <LogView lines={data.lines} wrap /> : isGraph ? <TimeSeries panel={panel} data={data} scope={NO_SCOPE} onZoom={zoom} /> : <TablePanel panel={TABLE} data={data} scope={NO_SCOPE} />}
    </section>
  );
}

function History({ pick }: { pick: (past: Past) => void }) {
  const past = history();
  if (!past.length) return <p class="muted">Queries you run are kept here, in this browser.</p>;
  return <ul class="menu history">{past.slice(0, 20).map(each => <li><button type="button" onClick={() => pick(each)}><span class="tag">{each.kind === 'logql' ? 'logs' : 'metrics'}</span> <code>{each.expr}</code></button></li>)}</ul>;
}

const EXAMPLES: Record<Kind, readonly (readonly [string, string])[]> = {
  promql: [
    ['up', 'Which targets answer'], ['sum by (job) (rate(http_requests_total[5m]))', 'Requests a second, by job'],
    ['100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])))', 'CPU in use, in percent'],
    ['histogram_quantile(0.95, sum by (le, job) (rate(http_request_duration_seconds_bucket[5m])))', '95th percentile of latency'],
    ['topk(10, count by (__name__) ({__name__=~".+"}))', 'Metrics with most series'],
  ],
  logql: [
    ['{service=~".+"}', 'Every line that has a service'], ['{service=~".+"} |~ "(?i)error|exception"', 'Lines that speak of errors'],
    ['sum by (level) (count_over_time({service=~".+"}[1m]))', 'Lines a minute, by level'],
  ],
};

function Hints({ kind }: { kind: Kind }) {
  return (
    <section class="card flush"><h2>Begin with</h2>
      <ul class="rows">{EXAMPLES[kind].map(([expr, what]) => <li><a class="row-link" href={`/explore?${new URLSearchParams({ kind, expr })}`}><code>{expr}</code><span class="end muted small">{what}</span></a></li>)}</ul>
    </section>
  );
}
