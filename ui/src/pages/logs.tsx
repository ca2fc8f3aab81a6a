/** Log lines: a selector, a search, how many there were when, and the lines. */

import { useEffect, useMemo, useState } from 'preact/hooks';
import { askBatch, data } from '../api.ts';
import { toFrames } from '../data/answers.ts';
import type { LogLine } from '../data/frame.ts';
import { configure } from '../data/overrides.ts';
import { importPanel, type Target } from '../model/dashboard.ts';
import { intervals } from '../model/interval.ts';
import { addMatcher, nearSelector, streamPart, withSearch } from '../model/selector.ts';
import { durationText, type Span } from '../model/time.ts';
import { TimeSeries } from '../panels/timeseries.tsx';
import type { PanelData } from '../panels/view.ts';
import { adopt, refresh, setRange, setRefresh, span } from '../range.ts';
import { setParams, url } from '../router.ts';
import { Editor } from '../widgets/editor.tsx';
import { Icon } from '../widgets/icons.tsx';
import { useLoad } from '../widgets/load.ts';
import { LogView } from '../widgets/logview.tsx';
import { Empty, Failure } from '../widgets/notices.tsx';
import { Title } from '../widgets/title.tsx';

const byLevel = (pattern: string, color: string) => ({ matcher: { id: 'byRegexp', options: pattern }, properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }] });
const VOLUME = importPanel({
  id: 1, type: 'timeseries', title: 'Lines over time',
  fieldConfig: {
    defaults: { unit: 'short', min: 0, custom: { drawStyle: 'bars', fillOpacity: 75, lineWidth: 0, showPoints: 'never', stacking: { mode: 'normal', group: 'A' } } },
    overrides: [byLevel('/(?i)^(err|fatal|crit|panic|emerg|alert)/', 'red'), byLevel('/(?i)^warn/', 'orange'), byLevel('/(?i)^(info|notice)/', 'green'), byLevel('/(?i)^(debug|trace)/', 'blue')],
  },
  options: { legend: { showLegend: false }, tooltip: { mode: 'multi', sort: 'desc' } },
});
const NO_SCOPE = (): undefined => undefined;

/** A selector to begin with: what the address is near to, or every line that carries the most telling label. */
async function firstSelector(near: string | null): Promise<{ selector: string; note?: string }> {
  const { from, to } = span.peek();
  const within = { start: `${from}000000`, end: `${to}000000` };
  const names = (await data<string[] | null>('/loki/api/v1/labels', within)) ?? [];
  const preferred = ['service', 'service_name', 'job', 'app', 'container', 'unit', 'filename'].find(name => names.includes(name)) ?? names.find(name => !name.startsWith('__'));
  const everything = preferred ? `{${preferred}=~".+"}` : '';
  if (!near) return { selector: everything };
  let labels: Record<string, string> = {};
  try {
    labels = JSON.parse(near) as Record<string, string>;
  } catch {
    return { selector: everything };
  }
  const values = async (name: string): Promise<string[]> => (await data<string[] | null>(`/loki/api/v1/label/${encodeURIComponent(name)}/values`, within)) ?? [];
  const selector = await nearSelector(labels, names, values);
  return selector ? { selector } : { selector: everything, note: 'No log stream carries a label of this alert: here is everything of that time.' };
}

export function Logs() {
  useMemo(() => adopt(), []);
  const params = url.value.searchParams;
  const [expr, near] = [params.get('expr') ?? '', params.get('near')];
  const forward = params.get('direction') === 'forward';
  const limit = Number(params.get('limit')) || 500;
  const [text, setText] = useState(expr);
  const [search, setSearch] = useState('');
  const [note, setNote] = useState('');
  const [wrap, setWrap] = useState(true);
  useEffect(() => setText(expr), [expr]);
  useEffect(() => {
    if (expr) return;
    firstSelector(near).then(found => { setNote(found.note ?? ''); if (found.selector) setParams({ expr: found.selector, near: undefined }); else setNote('There are no log lines yet.'); }, (problem: Error) => setNote(problem.message));
  }, [expr, near]);
  const lines = useLoad(async abort => (expr ? askLines(expr, limit, forward, span.peek(), abort) : undefined), [expr, limit, forward, span.value]);
  const volume = useLoad(async abort => (expr ? askVolume(expr, span.peek(), abort) : undefined), [expr, span.value]);
  const run = (next: string): void => { if (next === expr) lines.again(); else setParams({ expr: next }); };
  const live = refresh.value === '2s';
  const find = (event: Event): void => { event.preventDefault(); run(withSearch(text, search)); setSearch(''); };
  return (
    <div class="page page-logs">
      <Title text="Logs" />
      <div class="query-bar">
        <Editor kind="logql" value={text} label="LogQL query" onChange={setText} onRun={run} />
        <button type="button" class="button primary" onClick={() => run(text)}><Icon name="play" size={13} />Run</button>
        <button type="button" class={`button ${live ? 'on' : ''}`} aria-pressed={live} title="Ask again every two seconds" onClick={() => setRefresh(live ? '' : '2s')}><Icon name={live ? 'pause' : 'play'} size={13} />Live</button>
      </div>
      <div class="filters">
        <form onSubmit={find}><input type="search" placeholder="Add: line contains…" aria-label="Add a search to the query" value={search} onInput={event => setSearch(event.currentTarget.value)} /></form>
        <div class="segmented" role="group" aria-label="Order">
          <button type="button" aria-pressed={!forward} onClick={() => setParams({ direction: undefined })}>Newest first</button>
          <button type="button" aria-pressed={forward} onClick={() => setParams({ direction: 'forward' })}>Oldest first</button>
        </div>
        <select aria-label="Lines at most" value={String(limit)} onChange={event => setParams({ limit: event.currentTarget.value })}>{[100, 500, 1000, 2000, 5000].map(each => <option value={String(each)}>{each} lines</option>)}</select>
        <button type="button" class={`button ${wrap ? 'on' : ''}`} aria-pressed={wrap} onClick={() => setWrap(!wrap)}>Wrap</button>
        <span class="muted small" aria-live="polite">{lines.value && `${lines.value.length}${lines.value.length >= limit ? ' (the limit)' : ''} lines`}</span>
      </div>
      {note && <p class="muted">{note}</p>}
      {(lines.error || volume.error) && <Failure text={(lines.error ?? volume.error)!} />}
      {volume.value && volume.value.frames.length > 0 && <div class="card volume"><TimeSeries panel={VOLUME} data={volume.value} scope={NO_SCOPE} onZoom={(from, to) => setRange({ from: String(from), to: String(to) })} /></div>}
      {lines.value && !lines.value.length && <Empty>No line matches in this time range.</Empty>}
      {lines.value && lines.value.length > 0 && <section class="card"><LogView lines={lines.value} wrap={wrap} forward={forward} onLabel={(name, value, equal) => run(addMatcher(expr, name, value, equal))} /></section>}
    </div>
  );
}

interface StreamJson { stream: Record<string, string>; values: [string, string][] }

async function askLines(query: string, limit: number, forward: boolean, { from, to }: Span, abort: AbortSignal): Promise<LogLine[]> {
  if (!query.trimStart().startsWith('{')) throw new Error('This page shows lines: begin with a selector such as {service="api"}. Explore draws metrics of logs.');
  const { result } = await data<{ result: StreamJson[] }>('/loki/api/v1/query_range', { query, limit, direction: forward ? 'forward' : 'backward', start: `${Math.floor(from)}000000`, end: `${Math.floor(to)}000000` }, abort);
  return result.flatMap(({ stream, values }) => values.map(([timeNs, line]) => ({ timeNs, ms: Number(timeNs.slice(0, -6)), labels: stream, line })));
}

async function askVolume(query: string, own: Span, abort: AbortSignal): Promise<PanelData | undefined> {
  const selector = streamPart(query);
  if (!selector) return undefined;
  const { interval } = intervals(own, 80, '1s', 1000);
  const expr = `sum by (level) (count_over_time(${selector} [${durationText(interval)}]))`;
  // A point counts what lies before it; the ends stand on whole steps, so that bars do not change their height while time moves.
  const [from, to] = [Math.ceil(own.from / interval) * interval, Math.ceil(own.to / interval) * interval];
  const [answer] = await askBatch(from, to, [{ kind: 'logql', expr, instant: false, step: interval }], abort);
  if (answer.status === 'error') return undefined; // the lines say the same, and better
  const target: Target = { refId: 'A', kind: 'logql', expr, instant: false, factor: 1, format: 'time_series' };
  const frames = toFrames(answer, target, '{{level}}').map(frame => ({ ...frame, fields: frame.fields.map(field => ({ ...field, legend: field.legend === '' ? 'no level' : field.legend })) }));
  return { frames: configure(frames, VOLUME.fieldConfig), lines: [], span: own, notices: [] };
}
