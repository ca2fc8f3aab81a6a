import { useEffect, useMemo, useState } from 'preact/hooks';
import { ApiError, get, post, remove, user } from '../api.ts';
import { formatAge, formatDate, formatDuration } from '../format/dates.ts';
import { parseDuration } from '../model/time.ts';
import { setParams, url } from '../router.ts';
import { Icon } from '../widgets/icons.tsx';
import { useLoad } from '../widgets/load.ts';
import { Empty, Failure, Labels } from '../widgets/notices.tsx';
import { useTicks } from '../widgets/ticks.ts';
import { toast } from '../widgets/toast.tsx';
import { Recurring } from './recurring.tsx';
import { matcherText, matchesAll, type AmAlertJson, type Matcher, type SilenceJson } from './alertdata.ts';

const TONE = { active: 'info', pending: 'warn', expired: 'none' } as const;

export function Silences() {
  const tick = useTicks(10_000);
  const silences = useLoad(abort => get<SilenceJson[]>('/api/v2/silences', undefined, abort), [tick]);
  const alerts = useLoad(abort => get<AmAlertJson[]>('/api/v2/alerts', undefined, abort), [tick]);
  const [expired, setExpired] = useState(false);
  const isNew = url.value.searchParams.get('new') === '1';
  const [edited, setEdited] = useState<SilenceJson | null>(null);
  const may = user.value?.role !== 'Viewer';
  const close = (): void => { setEdited(null); setParams({ new: undefined, match: undefined }); silences.again(); };
  const all = silences.value ?? [];
  const shown = all.filter(each => expired || each.status.state !== 'expired').sort((a, b) => Number(a.status.state === 'expired') - Number(b.status.state === 'expired') || a.endsAt.localeCompare(b.endsAt));
  return (
    <>
      <div class="filters">
        {may && <button type="button" class="button primary" onClick={() => { setEdited(null); setParams({ new: '1', match: undefined }); }}><Icon name="plus" />New silence</button>}
        <button type="button" class={`button ${expired ? 'on' : ''}`} aria-pressed={expired} onClick={() => setExpired(!expired)}>Expired ones too</button>
      </div>
      {silences.error && <Failure text={silences.error} />}
      {may && (isNew || edited) && <Editor key={edited?.id ?? url.value.search} silence={edited} alerts={alerts.value ?? []} close={close} />}
      {silences.value && !shown.length && !isNew && <Empty>No silence is in force.</Empty>}
      {shown.length > 0 && (
        <section class="card flush"><ul class="rows">
          {shown.map(each => <li key={each.id}><Row silence={each} alerts={alerts.value ?? []} may={may} edit={() => setEdited(each)} changed={silences.again} /></li>)}
        </ul></section>
      )}
      <Recurring />
    </>
  );
}

interface RowProps { silence: SilenceJson; alerts: AmAlertJson[]; may: boolean; edit: () => void; changed: () => void }

function Row({ silence, alerts, may, edit, changed }: RowProps) {
  const { status, matchers, comment, createdBy, endsAt, id } = silence;
  const muted = status.state === 'active' ? alerts.filter(alert => matchesAll(matchers, alert.labels)).length : 0;
  const act = async (what: Promise<unknown>, said: string): Promise<void> => {
    try {
      await what;
      toast(said);
      changed();
    } catch (error) {
      toast((error as Error).message, 'bad');
    }
  };
  const extend = (): void => {
    const until = new Date(Math.max(Date.parse(endsAt), Date.now()) + 3_600_000).toISOString();
    void act(post('/api/v2/silences', { id, matchers, comment, createdBy, startsAt: silence.startsAt, endsAt: until }), 'The silence lasts an hour longer.');
  };
  return (
    <div class="line">
      <span class={`state ${TONE[status.state] ?? 'none'}`}>{status.state}</span>
      <span class="labels">{matchers.map(each => <code class="label">&nbsp;{matcherText(each)}</code>)}</span>
      <span class="small">{comment}</span>
      <span class="end" title={formatDate(Date.parse(endsAt), 'datetime')}>
        {muted > 0 && `mutes ${muted} · `}{createdBy} · {status.state === 'expired' ? `ended ${formatAge(Date.parse(endsAt))} ago` : `${formatDuration(Date.parse(endsAt) - Date.now(), 2)} left`}
      </span>
      {may && status.state !== 'expired' && <button type="button" class="button small" onClick={extend}>+ 1 h</button>}
      {may && <button type="button" class="button small" onClick={edit}>{status.state === 'expired' ? 'Again' : 'Change'}</button>}
      {may && status.state !== 'expired' && <button type="button" class="button small danger" onClick={() => void act(remove(`/api/v2/silence/${encodeURIComponent(id)}`), 'The silence has ended.')}>Expire</button>}
    </div>
  );
}

const OPERATORS: readonly (readonly [string, Pick<Matcher, 'isRegex' | 'isEqual'>])[] = [
  ['=', { isRegex: false, isEqual: true }], ['!=', { isRegex: false, isEqual: false }], ['=~', { isRegex: true, isEqual: true }], ['!~', { isRegex: true, isEqual: false }],
];

function asked(): Matcher[] {
  const found = url.peek().searchParams.getAll('match').map(each => {
    const at = each.indexOf('=');
    return { name: each.slice(0, at), value: each.slice(at + 1), isRegex: false, isEqual: true };
  });
  return found.length ? found : [{ name: 'alertname', value: '', isRegex: false, isEqual: true }];
}

function Editor({ silence, alerts, close }: { silence: SilenceJson | null; alerts: AmAlertJson[]; close: () => void }) {
  const [matchers, setMatchers] = useState<Matcher[]>(() => silence?.matchers.map(each => ({ ...each, isEqual: each.isEqual !== false })) ?? asked());
  const [lasts, setLasts] = useState('2h');
  const [comment, setComment] = useState(silence?.comment ?? '');
  const [by, setBy] = useState(silence?.createdBy ?? user.value?.login ?? '');
  const [error, setError] = useState('');
  const [again, setAgain] = useState('');
  const [zone, setZone] = useState(() => new Intl.DateTimeFormat().resolvedOptions().timeZone);
  const [days, setDays] = useState('');
  const [sure, setSure] = useState(false);
  useEffect(() => { document.querySelector<HTMLElement>('.silence-editor')?.scrollIntoView({ block: 'nearest' }); }, []);
  const kept = matchers.filter(each => each.name);
  const affected = useMemo(() => alerts.filter(alert => kept.length > 0 && matchesAll(kept, alert.labels)), [alerts, matchers]);
  const ms = parseDuration(lasts);
  const wrong = !kept.length ? 'Name at least one label.' : matchesAll(kept, {}) === undefined ? 'A pattern is not a regular expression.' : !ms ? 'Say how long, as in 30m, 2h or 1d12h.' : '';
  const set = (at: number, change: Partial<Matcher>): void => { setSure(false); setMatchers(matchers.map((each, n) => (n === at ? { ...each, ...change } : each))); };
  const save = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (wrong) { setError(wrong); return; }
    try {
      const ours = { matchers: kept.map(matcherText), for: lasts, comment, confirm: sure };
      if (again) {
        const weekdays = days.split(/[\s,]+/).filter(Boolean);
        await post('/api/recurring-silences', { ...ours, schedule: { at: again.split(/[\s,]+/).filter(Boolean), location: zone, ...(weekdays.length ? { weekdays } : {}) } });
      } else if (silence && silence.status.state !== 'expired') {
        const endsAt = new Date(Date.now() + ms!).toISOString();
        await post('/api/v2/silences', { id: silence.id, matchers: kept, startsAt: new Date().toISOString(), endsAt, createdBy: by, comment });
      } else await post('/api/silences', ours);
      toast(again ? 'The silence will come again.' : 'The silence is in force.');
      close();
    } catch (problem) {
      if (problem instanceof ApiError && problem.status === 409) setSure(true);
      setError((problem as Error).message);
    }
  };
  return (
    <form class="card form silence-editor" onSubmit={event => void save(event)} aria-label={silence ? 'Change the silence' : 'New silence'}>
      <h2>{silence ? 'Change the silence' : 'New silence'}</h2>
      <div class="form" role="group" aria-label="Matchers">
        {matchers.map((each, at) => (
          <div class="matcher-row">
            <input aria-label="Label" placeholder="label" value={each.name} spellcheck={false} onInput={event => set(at, { name: event.currentTarget.value.trim() })} />
            <select aria-label="Operator" value={OPERATORS.find(([, kind]) => kind.isRegex === each.isRegex && kind.isEqual === each.isEqual)?.[0]} onChange={event => set(at, OPERATORS.find(([sign]) => sign === event.currentTarget.value)![1])}>
              {OPERATORS.map(([sign]) => <option>{sign}</option>)}
            </select>
            <input aria-label="Value" placeholder="value" value={each.value} spellcheck={false} onInput={event => set(at, { value: event.currentTarget.value })} />
            <button type="button" class="button icon-only" aria-label={`Remove ${each.name}`} disabled={matchers.length < 2} onClick={() => setMatchers(matchers.filter((_, n) => n !== at))}><Icon name="close" size={13} /></button>
          </div>
        ))}
        <div><button type="button" class="button small" onClick={() => setMatchers([...matchers, { name: '', value: '', isRegex: false, isEqual: true }])}><Icon name="plus" size={13} />Matcher</button></div>
      </div>
      <div class="form-row">
        <label>For<input value={lasts} spellcheck={false} list="silence-lengths" onInput={event => setLasts(event.currentTarget.value)} /></label>
        <datalist id="silence-lengths">{['30m', '1h', '2h', '6h', '12h', '1d', '7d'].map(each => <option value={each} />)}</datalist>
        {silence && <label>By<input value={by} required onInput={event => setBy(event.currentTarget.value)} /></label>}
        <label class="grow">Why<input value={comment} required placeholder="What is being done, and where to read more" onInput={event => setComment(event.currentTarget.value)} /></label>
      </div>
      {!silence && (
        <div class="form-row">
          <label>Again at<input value={again} spellcheck={false} placeholder="22:00" onInput={event => setAgain(event.currentTarget.value)} /></label>
          {again && <label>On<input value={days} spellcheck={false} placeholder="every day, or monday:friday" onInput={event => setDays(event.currentTarget.value)} /></label>}
          {again && <label>Time zone<input value={zone} spellcheck={false} onInput={event => setZone(event.currentTarget.value)} /></label>}
        </div>
      )}
      <div aria-live="polite">
        <p class="small">{affected.length ? <>Mutes <b>{affected.length}</b> of {alerts.length} alerts now{ms ? `, until ${formatDate(Date.now() + ms, 'datetime')}` : ''}:</> : <span class="muted">Mutes none of the {alerts.length} alerts of now.</span>}</p>
        {affected.length > 0 && <div class="preview">{affected.slice(0, 50).map(alert => <div class="line" key={alert.fingerprint}><b>{alert.labels.alertname}</b><Labels labels={alert.labels} skip={['alertname']} /></div>)}</div>}
      </div>
      {error && <Failure text={error} />}
      <div class="tools"><button type="submit" class={`button ${sure ? 'danger' : 'primary'}`}>{sure ? 'Silence all the same' : 'Silence'}</button><button type="button" class="button" onClick={close}>Cancel</button></div>
    </form>
  );
}
