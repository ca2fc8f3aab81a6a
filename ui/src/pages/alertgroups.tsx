import { get, user } from '../api.ts';
import { formatAge, formatDate } from '../format/dates.ts';
import { url } from '../router.ts';
import { useLoad } from '../widgets/load.ts';
import { Icon } from '../widgets/icons.tsx';
import { Failure, Labels } from '../widgets/notices.tsx';
import { useTicks } from '../widgets/ticks.ts';
import { runbookOf, severityClass, type AckJson, type AmAlertJson, type GroupJson } from './alertdata.ts';
import { AckButton } from './alerthistory.tsx';
import { historyHref, logsHref, silenceHref } from './alertlinks.ts';

/** Alerts as they are grouped for notification. */
export function Groups() {
  const tick = useTicks(10_000);
  const { value, error } = useLoad(abort => get<GroupJson[]>('/api/v2/alerts/groups', undefined, abort), [tick]);
  const acks = useLoad(abort => get<AckJson[]>('/api/acks', undefined, abort), [tick]);
  const receiver = url.value.searchParams.get('receiver');
  const groups = (value ?? []).filter(group => !receiver || group.receiver.name === receiver);
  const held = new Map((acks.value ?? []).map(each => [each.fingerprint, each]));
  return (
    <>
      {error && <Failure text={error} />}
      {value && !groups.length && <div class="card muted">No alerts have reached notification.</div>}
      {groups.map(group => (
        <section class="card flush">
          <div class="card-head"><h2>{Object.keys(group.labels).length ? <Labels labels={group.labels} /> : 'Not grouped'}</h2><span class="muted small">→ {group.receiver.name}</span></div>
          <ul class="rows">{group.alerts.map(alert => <li key={alert.fingerprint}><Row alert={alert} known={Object.keys(group.labels)} ack={held.get(alert.fingerprint)} changed={acks.again} /></li>)}</ul>
        </section>
      ))}
    </>
  );
}

function Row({ alert, known, ack, changed }: { alert: AmAlertJson; known: string[]; ack: AckJson | undefined; changed: () => void }) {
  const { labels, annotations, status } = alert;
  const why = status.silencedBy.length ? 'silenced' : status.inhibitedBy.length ? 'inhibited' : status.mutedBy?.length ? 'muted' : '';
  const runbook = runbookOf(annotations);
  return (
    <div class="line">
      <span class={`state ${why ? 'none' : severityClass(labels)}`}>{why || (labels.severity ?? 'firing')}</span>
      <a href={`/alerts?alert=${encodeURIComponent(labels.alertname ?? '')}`}><b>{labels.alertname}</b></a>
      <Labels labels={labels} skip={['alertname', 'severity', ...known]} />
      {annotations.summary && <span class="small">{annotations.summary}</span>}
      <span class="end" title={formatDate(Date.parse(alert.startsAt), 'datetime')}>{formatAge(Date.parse(alert.startsAt))}</span>
      {ack && <span class="state info" title={`until ${formatDate(Date.parse(ack.until), 'datetime')}${ack.comment && `: ${ack.comment}`}`}>{ack.by} is on it</span>}
      <AckButton small fingerprint={alert.fingerprint} ack={ack} changed={changed} />
      <a class="button small" href={historyHref(alert.fingerprint)}>Why?</a>
      {runbook && <a class="button small" href={runbook} target="_blank" rel="noreferrer">Runbook</a>}
      <a class="button small" href={logsHref(labels)}><Icon name="logs" size={13} />Logs</a>
      {!why && user.value?.role !== 'Viewer' && <a class="button small" href={silenceHref(labels)}><Icon name="mute" size={13} />Silence</a>}
    </div>
  );
}
