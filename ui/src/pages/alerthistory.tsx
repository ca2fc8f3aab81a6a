import { useState } from 'preact/hooks';
import { get, post, remove, user } from '../api.ts';
import { formatAge, formatDate } from '../format/dates.ts';
import { url } from '../router.ts';
import { Icon } from '../widgets/icons.tsx';
import { useLoad } from '../widgets/load.ts';
import { Empty, Failure, Labels } from '../widgets/notices.tsx';
import { useTicks } from '../widgets/ticks.ts';
import { toast } from '../widgets/toast.tsx';
import { runbookOf, severityClass, type AckJson } from './alertdata.ts';
import { historyHref, silenceHref } from './alertlinks.ts';

interface Step { time: string; time_ms: number; kind: string; text: string }
interface Account {
  fingerprint: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  state: 'firing' | 'resolved';
  ack: AckJson | null;
  answer: string;
  routes: { route: string; receiver: string }[];
  events: Step[];
}
interface Recent { fingerprint: string; labels: Record<string, string>; annotations: Record<string, string>; seen: string }

const TONE: Record<string, string> = { told: 'good', failed: 'bad', escalated: 'warn', acknowledged: 'info', noted: 'info', fired: 'bad', resolved: 'good', inhibited: 'none', silenced: 'none', muted: 'none', inactive: 'none' };

/** Why was I (not) paged? Alerts that something happened to, and the whole way of one of them. */
export function History() {
  const fingerprint = url.value.searchParams.get('alert') ?? '';
  return /^[0-9a-f]{16}$/.test(fingerprint) ? <Timeline key={fingerprint} fingerprint={fingerprint} /> : <RecentAlerts />;
}

function RecentAlerts() {
  const tick = useTicks(10_000);
  const [wanted, setWanted] = useState('');
  const { value, error } = useLoad(abort => get<Recent[]>('/api/alerts/history', { limit: 500 }, abort), [tick]);
  const shown = (value ?? []).filter(({ labels }) => !wanted || Object.values(labels).some(text => text.toLowerCase().includes(wanted.toLowerCase())));
  return (
    <>
      <div class="filters"><input type="search" aria-label="Filter" placeholder="Filter by any label" value={wanted} onInput={event => setWanted(event.currentTarget.value)} /></div>
      {error && <Failure text={error} />}
      {value && !shown.length && <Empty>{value.length ? 'No alert has a label like that.' : 'Nothing has happened to any alert yet.'}</Empty>}
      {shown.length > 0 && (
        <section class="card flush"><ul class="rows">
          {shown.map(({ fingerprint, labels, seen }) => (
            <li key={fingerprint}><div class="line">
              <span class={`state ${severityClass(labels)}`}>{labels.severity ?? 'alert'}</span>
              <a href={historyHref(fingerprint)}><b>{labels.alertname}</b></a>
              <Labels labels={labels} skip={['alertname', 'severity']} />
              <span class="end" title={formatDate(Date.parse(seen), 'datetime')}>{formatAge(Date.parse(seen))} ago</span>
            </div></li>
          ))}
        </ul></section>
      )}
    </>
  );
}

function Timeline({ fingerprint }: { fingerprint: string }) {
  const tick = useTicks(5000);
  const { value, error, again } = useLoad(abort => get<Account>(`/api/alerts/${fingerprint}/history`, { limit: 500 }, abort), [tick]);
  if (error && !value) return <Failure text={error} />;
  if (!value) return <div class="loading" aria-busy="true" />;
  const { labels, annotations, state, ack, answer, routes, events } = value;
  const runbook = runbookOf(annotations);
  return (
    <>
      <section class="card">
        <div class="card-head">
          <h2>{labels.alertname}</h2>
          <span class={`state ${state === 'firing' ? severityClass(labels) : 'good'}`}>{state}</span>
        </div>
        <p><Labels labels={labels} skip={['alertname']} /></p>
        {annotations.summary && <p>{annotations.summary}</p>}
        <p class="answer" aria-live="polite"><b>{answer}</b></p>
        {ack && <p class="small">Acknowledged by <b>{ack.by}</b> until {formatDate(Date.parse(ack.until), 'datetime')}{ack.comment && `: ${ack.comment}`}</p>}
        <p class="small muted">{routes.map(({ route, receiver }) => `${route} → ${receiver}`).join(' · ')}</p>
        <div class="filters">
          {state === 'firing' && <AckButton fingerprint={fingerprint} ack={ack} changed={again} />}
          {state === 'firing' && user.value?.role !== 'Viewer' && <a class="button" href={silenceHref(labels)}><Icon name="mute" size={13} />Silence</a>}
          {runbook && <a class="button" href={runbook} target="_blank" rel="noreferrer">Runbook</a>}
          <a class="button" href={`/api/incidents/${fingerprint}/draft`} download={`post-mortem-${fingerprint}.md`}>Post-mortem draft</a>
        </div>
      </section>
      <section class="card flush">
        <div class="card-head"><h2>Timeline</h2></div>
        <ul class="rows" aria-label="Timeline">
          {[...events].reverse().map(step => (
            <li key={`${step.time_ms}${step.text}`}><div class="line">
              <span class={`state ${TONE[step.kind] ?? 'none'}`}>{step.kind.replace('_', ' ')}</span>
              <span>{step.text}</span>
              <span class="end" title={step.time}>{formatDate(step.time_ms, 'datetime')}</span>
            </div></li>
          ))}
        </ul>
        {user.value?.role !== 'Viewer' && <Note fingerprint={fingerprint} changed={again} />}
      </section>
    </>
  );
}

function Note({ fingerprint, changed }: { fingerprint: string; changed: () => void }) {
  const [text, setText] = useState('');
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      await post(`/api/incidents/${fingerprint}/notes`, { comment: text });
      setText('');
      changed();
    } catch (error) {
      toast((error as Error).message, 'bad');
    }
  };
  return (
    <form class="line" onSubmit={event => void save(event)}>
      <input class="grow" aria-label="Note" placeholder="What was seen or done" required value={text} onInput={event => setText(event.currentTarget.value)} />
      <button type="submit" class="button">Add note</button>
    </form>
  );
}

/** Takes an alert on, or gives it back. */
export function AckButton({ fingerprint, ack, changed, small = false }: { fingerprint: string; ack: AckJson | null | undefined; changed: () => void; small?: boolean }) {
  if (user.value?.role === 'Viewer') return null;
  const act = async (): Promise<void> => {
    try {
      if (ack) await remove(`/api/acks/${fingerprint}`);
      else await post('/api/acks', { alerts: [fingerprint] });
      toast(ack ? 'The acknowledgement has ended.' : 'Acknowledged: it is neither repeated nor escalated.');
      changed();
    } catch (error) {
      toast((error as Error).message, 'bad');
    }
  };
  return <button type="button" class={`button ${small ? 'small' : ''}`} onClick={() => void act()}>{ack ? 'End acknowledgement' : 'Acknowledge'}</button>;
}
