import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { data, user } from '../api.ts';
import { formatAge, formatDate } from '../format/dates.ts';
import { safeHref } from '../format/links.ts';
import { formatText } from '../format/units.ts';
import { durationText } from '../model/time.ts';
import { url } from '../router.ts';
import { Icon } from '../widgets/icons.tsx';
import { useLoad } from '../widgets/load.ts';
import { Empty, Failure, Labels } from '../widgets/notices.tsx';
import { useTicks } from '../widgets/ticks.ts';
import { severityClass, type AlertJson, type RuleGroupJson, type RuleJson } from './alertdata.ts';
import { logsHref, silenceHref } from './alertlinks.ts';

const ORDER: Record<string, number> = { firing: 0, pending: 1, unknown: 2, inactive: 3 };
const SHOWN_MAX = 300;

function stateOf(rule: RuleJson): string {
  return rule.health === 'err' ? 'failed' : rule.type === 'recording' ? 'recording' : (rule.state ?? 'unknown');
}

function tone(rule: RuleJson): string {
  const state = stateOf(rule);
  if (state === 'firing') return severityClass({ ...rule.labels, ...rule.alerts?.[0]?.labels });
  return { pending: 'warn', failed: 'bad', inactive: 'good' }[state] ?? 'none';
}

export function Rules() {
  const tick = useTicks(10_000);
  const { value, error } = useLoad(abort => data<{ groups: RuleGroupJson[] }>('/api/v1/rules', undefined, abort), [tick]);
  const named = url.value.searchParams.get('alert') ?? '';
  const [search, setSearch] = useState(named);
  const [state, setState] = useState('');
  useEffect(() => { if (named) setSearch(named); }, [named]);
  const wanted = search.trim().toLowerCase();
  const counts = useMemo(() => {
    const found: Record<string, number> = {};
    for (const group of value?.groups ?? []) for (const rule of group.rules) found[stateOf(rule)] = (found[stateOf(rule)] ?? 0) + 1;
    return found;
  }, [value]);
  let left = SHOWN_MAX;
  let more = 0;
  const groups = (value?.groups ?? []).map(group => {
    const matching = group.rules.filter(rule => (!state || stateOf(rule) === state) && (!wanted || `${rule.name} ${group.name} ${rule.query} ${Object.values(rule.labels ?? {}).join(' ')}`.toLowerCase().includes(wanted)));
    const sorted = [...matching].sort((a, b) => (ORDER[a.state ?? ''] ?? 4) - (ORDER[b.state ?? ''] ?? 4));
    const rules = sorted.slice(0, Math.max(left, 0));
    left -= rules.length;
    more += sorted.length - rules.length;
    return { ...group, rules };
  }).filter(group => group.rules.length)
    .sort((a, b) => Math.min(...a.rules.map(rule => ORDER[rule.state ?? ''] ?? 4)) - Math.min(...b.rules.map(rule => ORDER[rule.state ?? ''] ?? 4)));
  return (
    <>
      <div class="filters">
        <input type="search" data-search placeholder="Filter rules ( / )" aria-label="Filter rules" value={search} onInput={event => setSearch(event.currentTarget.value)} />
        <div class="segmented" role="group" aria-label="State">
          {['', 'firing', 'pending', 'inactive', 'recording', 'failed'].filter(each => !each || counts[each]).map(each => (
            <button type="button" aria-pressed={state === each} onClick={() => setState(each)}>{each || 'All'}{each && ` ${counts[each]}`}</button>
          ))}
        </div>
      </div>
      {error && <Failure text={error} />}
      {!value && !error && <div class="loading" aria-busy="true" />}
      {value && !groups.length && <Empty>{value.groups.length ? 'No rule matches.' : 'There are no rules. Name rule_files in prometheus.yml.'}</Empty>}
      {groups.map(group => (
        <section class="card flush" key={`${group.file};${group.name}`}>
          <div class="card-head"><h2>{group.name}</h2><span class="muted small" title={group.file}>{group.file.split('/').pop()} · every {durationText(group.interval * 1000)}</span></div>
          <ul class="rows">{group.rules.map((rule, at) => <li key={`${rule.name}-${at}`}><Rule rule={rule} open={rule.name === named} /></li>)}</ul>
        </section>
      ))}
      {more > 0 && <p class="muted">{more} more rules: filter to see them.</p>}
    </>
  );
}

function Rule({ rule, open }: { rule: RuleJson; open: boolean }) {
  const element = useRef<HTMLDetailsElement>(null);
  useEffect(() => { if (open) element.current?.scrollIntoView({ block: 'center' }); }, [open]);
  const state = stateOf(rule);
  const alerts = rule.alerts ?? [];
  return (
    <details ref={element} open={open || undefined}>
      <summary class="line">
        <span class={`state ${tone(rule)}`}>{state}</span><b>{rule.name}</b>
        {rule.type === 'alerting' && rule.labels && <Labels labels={rule.labels} />}
        {rule.lastError && <span class="field-error">{rule.lastError}</span>}
        <span class="end">{alerts.length > 0 && `${alerts.length} active · `}{rule.lastEvaluation && !rule.lastEvaluation.startsWith('0001') ? `${formatAge(Date.parse(rule.lastEvaluation))} ago, ${formatText(rule.evaluationTime ?? 0, 's')}` : 'not yet evaluated'}</span>
      </summary>
      <div class="rule-body">
        <code class="expr">{rule.query}</code>
        <div class="tools">
          <a class="button small" href={`/explore?kind=promql&expr=${encodeURIComponent(rule.query)}`}><Icon name="explore" size={13} />Explore</a>
          {rule.type === 'alerting' && <span class="muted small">for {durationText((rule.duration ?? 0) * 1000).replace('1ms', '0s')}{rule.keepFiringFor ? `, keeps firing for ${durationText(rule.keepFiringFor * 1000)}` : ''}</span>}
        </div>
        {Object.entries(rule.annotations ?? {}).filter(() => !alerts.length).map(([key, text]) => <p class="small"><span class="muted">{key}: </span>{text}</p>)}
        {alerts.slice(0, 100).map(alert => <Active alert={alert} />)}
        {alerts.length > 100 && <p class="muted small">{alerts.length - 100} more</p>}
      </div>
    </details>
  );
}

function Active({ alert }: { alert: AlertJson }) {
  const { labels, annotations } = alert;
  const runbook = safeHref(annotations?.runbook_url ?? annotations?.runbook);
  return (
    <div class="active">
      <div class="tools">
        <span class={`state ${alert.state === 'firing' ? severityClass(labels) : 'warn'}`}>{alert.state}</span>
        <Labels labels={labels} skip={['alertname']} />
        <span class="muted small" title={formatDate(Date.parse(alert.activeAt), 'datetime')}>for {formatAge(Date.parse(alert.activeAt))} · value {formatText(Number(alert.value), 'none')}</span>
      </div>
      {(annotations?.summary || annotations?.description) && <p class="small">{[annotations.summary, annotations.description].filter(Boolean).join(' — ')}</p>}
      <div class="tools">
        <a class="button small" href={logsHref(labels)}><Icon name="logs" size={13} />Logs</a>
        {user.value?.role !== 'Viewer' && <a class="button small" href={silenceHref(labels)}><Icon name="mute" size={13} />Silence</a>}
        {runbook && <a class="button small" href={runbook} target="_blank" rel="noreferrer"><Icon name="link" size={13} />Runbook</a>}
      </div>
    </div>
  );
}
