import { useRef, useState } from 'preact/hooks';
import { post, user } from '../api.ts';
import { formatDate } from '../format/dates.ts';
import { Empty, Failure, Labels } from '../widgets/notices.tsx';

type LabelMap = Record<string, string>;
interface Told { time: string; receiver: string; integration: string; groupLabels: LabelMap; reason: string; firing: LabelMap[]; resolved: LabelMap[] }
interface Quiet { labels: LabelMap; startsAt: string; endsAt: string | null; why: string }
interface Run { rules: number; notifications: Told[]; firings: unknown[]; quiet: Quiet[]; errors: Record<string, string> }
interface Answer { replays: Run[]; onlyFirst?: Told[]; onlySecond?: Told[] }

const SHOWN_MAX = 300;
const SHOWN_ALERTS = 4;

const ms = (time: string): number => Date.parse(time.replace(' ', 'T'));

/** The time machine: who would have been paged, when, had these rules and routes been in force. */
export function Replay() {
  const [from, setFrom] = useState('1d');
  const [to, setTo] = useState('0s');
  const [rules, setRules] = useState('');
  const [routes, setRoutes] = useState('');
  const [compared, setCompared] = useState(false);
  const [otherRules, setOtherRules] = useState('');
  const [otherRoutes, setOtherRoutes] = useState('');
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [error, setError] = useState('');
  const running = useRef<AbortController | null>(null);
  const [busy, setBusy] = useState(false);
  if (user.value?.role === 'Viewer') return <Empty>Who may edit may replay rules and routes over the past.</Empty>;
  const run = async (event: Event): Promise<void> => {
    event.preventDefault();
    const abort = new AbortController();
    running.current = abort;
    setBusy(true);
    setError('');
    const texts = (one: string, other: string): object => ({ ...(one.trim() ? { rules: [one] } : {}), ...(other.trim() ? { alertmanager: other } : {}) });
    try {
      const against = compared ? { against: texts(otherRules, otherRoutes) } : {};
      setAnswer(await post<Answer>('/api/replay', { from, to, ...texts(rules, routes), ...against }, abort.signal));
    } catch (problem) {
      if (!abort.signal.aborted) setError((problem as Error).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <form class="card form" aria-label="Replay" onSubmit={event => void run(event)}>
        <p class="small muted">Evaluates rules over stored history and lets what fires go through routes, groups, inhibition, mute times and silences. Nothing is sent. What is left empty is as it is in force.</p>
        <div class="form-row">
          <label>From<input value={from} required spellcheck={false} list="replay-times" onInput={event => setFrom(event.currentTarget.value)} /></label>
          <label>To<input value={to} required spellcheck={false} onInput={event => setTo(event.currentTarget.value)} /></label>
          <datalist id="replay-times">{['1h', '6h', '1d', '7d', '30d'].map(each => <option value={each} />)}</datalist>
        </div>
        <Texts rules={rules} routes={routes} setRules={setRules} setRoutes={setRoutes} />
        <label class="check"><input type="checkbox" checked={compared} onChange={event => setCompared(event.currentTarget.checked)} /> Compare with other rules or routes</label>
        {compared && <Texts rules={otherRules} routes={otherRoutes} setRules={setOtherRules} setRoutes={setOtherRoutes} />}
        {error && <Failure text={error} />}
        <div class="tools">
          <button type="submit" class="button primary" disabled={busy}>{busy ? 'Replaying…' : 'Replay'}</button>
          {busy && <button type="button" class="button" onClick={() => running.current?.abort()}>Stop</button>}
        </div>
      </form>
      {busy && <div class="loading" aria-busy="true" />}
      {answer && !busy && <Results answer={answer} />}
    </>
  );
}

function Texts({ rules, routes, setRules, setRoutes }: { rules: string; routes: string; setRules: (text: string) => void; setRoutes: (text: string) => void }) {
  return (
    <div class="replay-texts">
      <label>Rule file<textarea rows={6} spellcheck={false} placeholder="groups: …" value={rules} onInput={event => setRules(event.currentTarget.value)} /></label>
      <label>alertmanager.yml<textarea rows={6} spellcheck={false} placeholder="route: …" value={routes} onInput={event => setRoutes(event.currentTarget.value)} /></label>
    </div>
  );
}

function summary(one: Run): string {
  return `${one.rules} rules, ${one.firings.length} firings, ${one.notifications.length} notifications, ${one.quiet.length} quiet`;
}

function Results({ answer }: { answer: Answer }) {
  const [first, second] = answer.replays;
  return (
    <div aria-live="polite">
      {second && <p class="small"><b>First:</b> {summary(first)}. <b>Second:</b> {summary(second)}.</p>}
      {second
        ? <><Telling title="Only the first would have told" told={answer.onlyFirst ?? []} /><Telling title="Only the second would have told" told={answer.onlySecond ?? []} /></>
        : <><Telling title={summary(first)} told={first.notifications} /><NobodyTold quiet={first.quiet} /></>}
      {answer.replays.flatMap(one => Object.entries(one.errors)).map(([rule, text]) => <Failure text={`${rule}: ${text}`} />)}
    </div>
  );
}

function Telling({ title, told }: { title: string; told: Told[] }) {
  return (
    <section class="card flush">
      <div class="card-head"><h2>{title}</h2></div>
      {told.length ? <Moments told={told} /> : <Empty>Nobody would have been told of anything.</Empty>}
      {told.length > 0 && (
        <ul class="rows" aria-label={title}>
          {told.slice(0, SHOWN_MAX).map(one => (
            <li key={`${one.time}${one.receiver}${one.integration}${JSON.stringify(one.groupLabels)}`}><div class="line">
              <span class={`state ${one.firing.length ? 'bad' : 'good'}`}>{one.firing.length ? `${one.firing.length} firing` : 'over'}</span>
              <b>{one.receiver}</b><span class="muted small">{one.integration}</span>
              {[...one.firing, ...one.resolved].slice(0, SHOWN_ALERTS).map(labels => <Labels labels={labels} />)}
              {one.firing.length + one.resolved.length > SHOWN_ALERTS && <span class="small">and {one.firing.length + one.resolved.length - SHOWN_ALERTS} more</span>}
              <span class="end" title={one.reason}>{one.reason} · {formatDate(ms(one.time), 'datetime')}</span>
            </div></li>
          ))}
        </ul>
      )}
      {told.length > SHOWN_MAX && <p class="muted small">{told.length - SHOWN_MAX} more; <code>watchkeeper replay --on-server</code> prints all.</p>}
    </section>
  );
}

/** A line for each receiver, a mark for each notification. */
function Moments({ told }: { told: Told[] }) {
  const receivers = [...new Set(told.map(one => one.receiver))].sort();
  const times = told.map(one => ms(one.time));
  const low = Math.min(...times);
  const span = Math.max(Math.max(...times) - low, 1);
  return (
    <div class="moments" role="img" aria-label="When each receiver would have been told">
      {receivers.map(receiver => (
        <div class="moments-row" key={receiver}>
          <span class="small">{receiver}</span>
          <div>{told.filter(one => one.receiver === receiver).map(one => <i class={one.firing.length ? 'bad' : 'good'} style={{ insetInlineStart: `${((ms(one.time) - low) / span) * 100}%` }} title={`${one.reason}, ${formatDate(ms(one.time), 'datetime')}`} />)}</div>
        </div>
      ))}
      <div class="moments-row muted small"><span /><div><span>{formatDate(low, 'datetime')}</span><span class="end">{formatDate(low + span, 'datetime')}</span></div></div>
    </div>
  );
}

function NobodyTold({ quiet }: { quiet: Quiet[] }) {
  if (!quiet.length) return null;
  return (
    <section class="card flush">
      <div class="card-head"><h2>Nobody was told of</h2></div>
      <ul class="rows">
        {quiet.slice(0, SHOWN_MAX).map(one => (
          <li key={`${one.startsAt}${JSON.stringify(one.labels)}`}><div class="line">
            <b>{one.labels.alertname}</b><Labels labels={one.labels} skip={['alertname']} />
            <span class="end">{one.why} · {formatDate(ms(one.startsAt), 'datetime')}</span>
          </div></li>
        ))}
      </ul>
    </section>
  );
}
