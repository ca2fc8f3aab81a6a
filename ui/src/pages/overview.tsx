/** The first page: what is down, what fires, what comes in. */

import { useEffect } from 'preact/hooks';
import { get } from '../api.ts';
import { formatAge, formatDate } from '../format/dates.ts';
import { format } from '../format/units.ts';
import { adopt, refresh, span } from '../range.ts';
import { Icon } from '../widgets/icons.tsx';
import { useLoad } from '../widgets/load.ts';
import { Empty, Failure, Labels } from '../widgets/notices.tsx';
import { Title } from '../widgets/title.tsx';
import { severityClass, type AlertJson } from './alertdata.ts';

interface OverviewJson {
  services: { job: string; up: number; down: number; targets?: unknown }[];
  alerts: { firing: number; pending: number };
  ingest: { samples_per_s: number; series: number; lines_per_s: number };
  storage: { metrics_bytes: number; logs_bytes: number };
  version?: string;
  started_ms?: number;
}

interface InboxItem { id: number; received_ms: number; receiver: string; status: string; message: any }

export function Overview() {
  useEffect(() => { if (!refresh.peek()) adopt(undefined, '15s'); }, []);
  const { value, error } = useLoad(async abort => {
    const [overview, alerts, inbox] = await Promise.all([
      get<OverviewJson>('/api/overview', undefined, abort),
      get<{ data: { alerts: AlertJson[] } }>('/api/v1/alerts', undefined, abort).then(found => found.data.alerts),
      get<InboxItem[]>('/api/inbox', { limit: 20 }, abort).catch(() => [] as InboxItem[]),
    ]);
    return { overview, alerts, inbox };
  }, [span.value.to]);
  if (!value) return <><Title text="Overview" />{error ? <Failure text={error} /> : <div class="loading" aria-busy="true" />}</>;
  const { overview, alerts, inbox } = value;
  return (
    <div class="page">
      <Title text="Overview" />
      {error && <Failure text={`This page is of ${formatDate(span.value.to, 'time')}: ${error}`} />}
      <Tiles overview={overview} />
      <div class="columns">
        <div>
          <Firing alerts={alerts} />
          <Services services={overview.services} />
        </div>
        <Inbox items={inbox} />
      </div>
    </div>
  );
}

function Tile({ label, value, unit, href, tone = '' }: { label: string; value: number | undefined; unit?: string; href: string; tone?: string }) {
  const { text, suffix } = format(value ?? null, unit);
  return <a class={`tile ${tone}`} href={href}><b>{text}{suffix && <small>{suffix}</small>}</b><span>{label}</span></a>;
}

function Tiles({ overview }: { overview: OverviewJson }) {
  const { services, alerts, ingest, storage } = overview;
  const up = services.reduce((sum, each) => sum + each.up, 0);
  const down = services.reduce((sum, each) => sum + each.down, 0);
  return (
    <div class="tiles">
      <Tile label={down ? 'targets down' : 'targets up, none down'} value={down || up} href="/targets" tone={down ? 'bad' : 'good'} />
      <Tile label={alerts.pending ? `alerts firing, ${alerts.pending} pending` : 'alerts firing'} value={alerts.firing} href="/alerts" tone={alerts.firing ? 'bad' : alerts.pending ? 'warn' : 'good'} />
      <Tile label="samples a second" value={Math.round((ingest.samples_per_s ?? 0) * 10) / 10} unit="short" href="/d/wk-self" />
      <Tile label="series" value={ingest.series} unit="short" href="/d/wk-self" />
      <Tile label="log lines a second" value={Math.round((ingest.lines_per_s ?? 0) * 10) / 10} unit="short" href="/d/wk-logs" />
      <Tile label={`on disk, ${format(storage.logs_bytes, 'bytes').text}${format(storage.logs_bytes, 'bytes').suffix} of it logs`} value={(storage.metrics_bytes ?? 0) + (storage.logs_bytes ?? 0)} unit="bytes" href="/d/wk-self" />
    </div>
  );
}

function Firing({ alerts }: { alerts: AlertJson[] }) {
  const shown = [...alerts].sort((a, b) => Number(b.state === 'firing') - Number(a.state === 'firing') || a.activeAt.localeCompare(b.activeAt)).slice(0, 12);
  return (
    <section class="card flush" aria-label="Alerts">
      <div class="card-head"><h2>Alerts</h2><a href="/alerts">All rules</a></div>
      {!alerts.length && <div class="line muted"><span class="dot good" />Nothing fires.</div>}
      <ul class="rows">
        {shown.map(alert => (
          <li><a class="row-link" href={`/alerts?alert=${encodeURIComponent(alert.labels.alertname ?? '')}`}>
            <span class={`state ${alert.state === 'firing' ? severityClass(alert.labels) : 'none'}`}>{alert.state === 'firing' ? (alert.labels.severity ?? 'firing') : 'pending'}</span>
            <b>{alert.labels.alertname}</b><Labels labels={alert.labels} skip={['alertname', 'severity']} />
            <span class="muted small end" title={formatDate(Date.parse(alert.activeAt), 'datetime')}>{formatAge(Date.parse(alert.activeAt))}</span>
            {alert.annotations?.summary && <span class="muted small full">{alert.annotations.summary}</span>}
          </a></li>
        ))}
      </ul>
      {alerts.length > shown.length && <div class="line"><a href="/alerts">{alerts.length - shown.length} more</a></div>}
    </section>
  );
}

function Services({ services }: { services: OverviewJson['services'] }) {
  const sorted = [...services].sort((a, b) => b.down - a.down || a.job.localeCompare(b.job));
  return (
    <section class="card flush" aria-label="Services">
      <div class="card-head"><h2>Services</h2><a href="/d/wk-services">Dashboard</a></div>
      {!services.length && <Empty>Nothing is watched yet. Add scrape_configs to prometheus.yml.</Empty>}
      <ul class="rows">
        {sorted.map(({ job, up, down }) => (
          <li><a class="row-link" href={`/targets?job=${encodeURIComponent(job)}`}>
            <span class={`dot ${down ? (up ? 'warn' : 'bad') : 'good'}`} /><b>{job}</b>
            <span class="updots" aria-hidden="true">{Array.from({ length: Math.min(up + down, 40) }, (_, at) => <i class={at < down ? 'bad' : ''} />)}</span>
            <span class="muted small">{down ? `${down} of ${up + down} down` : `${up} up`}</span>
          </a></li>
        ))}
      </ul>
    </section>
  );
}

function Inbox({ items }: { items: InboxItem[] }) {
  return (
    <section class="card flush" aria-label="Inbox">
      <div class="card-head"><h2>Inbox</h2><span class="muted small">latest notifications</span></div>
      {!items.length && <div class="line muted"><Icon name="inbox" />No notifications yet.</div>}
      <ul class="rows">
        {items.map(item => <li key={item.id}><Notification item={item} /></li>)}
      </ul>
    </section>
  );
}

function Notification({ item }: { item: InboxItem }) {
  const message = typeof item.message === 'string' ? safeParse(item.message) : (item.message ?? {});
  const alerts: any[] = message.alerts ?? [];
  const firing = alerts.filter(each => each.status === 'firing').length;
  const name = message.commonLabels?.alertname ?? message.groupLabels?.alertname ?? alerts[0]?.labels?.alertname ?? 'Notification';
  return (
    <details>
      <summary class="line">
        <span class={`state ${item.status === 'firing' ? 'bad' : 'good'}`}>{item.status}</span><b>{name}</b>
        <span class="muted small">{item.status === 'firing' ? `${firing} firing` : `${alerts.length} resolved`} → {item.receiver}</span>
        <span class="end" title={formatDate(item.received_ms, 'datetime')}>{formatAge(item.received_ms)}</span>
      </summary>
      <div class="rule-body">
        {alerts.slice(0, 20).map(alert => (
          <div><Labels labels={alert.labels ?? {}} skip={['alertname']} /><p class="small">{alert.annotations?.summary ?? alert.annotations?.description ?? ''}</p></div>
        ))}
      </div>
    </details>
  );
}

function safeParse(text: string): any {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
