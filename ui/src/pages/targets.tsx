import { useState } from 'preact/hooks';
import { data } from '../api.ts';
import { formatAge } from '../format/dates.ts';
import { safeHref } from '../format/links.ts';
import { formatText } from '../format/units.ts';
import { setParams, url } from '../router.ts';
import { useLoad } from '../widgets/load.ts';
import { Empty, Failure, Labels } from '../widgets/notices.tsx';
import { useTicks } from '../widgets/ticks.ts';
import { Title } from '../widgets/title.tsx';

interface TargetJson {
  scrapePool: string;
  scrapeUrl: string;
  labels: Record<string, string>;
  discoveredLabels?: Record<string, string>;
  health: 'up' | 'down' | 'unknown';
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
  scrapeInterval?: string;
}

const HEALTH = { up: 'good', down: 'bad', unknown: 'none' } as const;

export function Targets() {
  const tick = useTicks(10_000);
  const { value, error } = useLoad(abort => data<{ activeTargets: TargetJson[]; droppedTargets?: unknown[]; droppedTargetCounts?: Record<string, number> }>('/api/v1/targets', undefined, abort), [tick]);
  const [search, setSearch] = useState('');
  const job = url.value.searchParams.get('job') ?? '';
  const health = url.value.searchParams.get('health') ?? '';
  const all = value?.activeTargets ?? [];
  const wanted = search.trim().toLowerCase();
  const shown = all.filter(each => (!job || each.scrapePool === job || each.labels.job === job) && (!health || each.health === health)
    && (!wanted || `${each.scrapeUrl} ${Object.entries(each.labels).flat().join(' ')} ${each.lastError}`.toLowerCase().includes(wanted)));
  const pools = new Map<string, TargetJson[]>();
  for (const each of shown) pools.set(each.scrapePool, [...(pools.get(each.scrapePool) ?? []), each]);
  const down = all.filter(each => each.health === 'down').length;
  return (
    <div class="page">
      <Title text="Targets">{value && <span class={`state ${down ? 'bad' : 'good'}`}>{down ? `${down} down` : 'all up'}</span>}</Title>
      <div class="filters">
        <input type="search" data-search placeholder="Filter by address, label or error ( / )" aria-label="Filter targets" value={search} onInput={event => setSearch(event.currentTarget.value)} />
        <div class="segmented" role="group" aria-label="Health">
          {['', 'up', 'down', 'unknown'].map(each => <button type="button" aria-pressed={health === each} onClick={() => setParams({ health: each || undefined })}>{each || `All ${all.length}`}</button>)}
        </div>
        {job && <button type="button" class="tag chosen" onClick={() => setParams({ job: undefined })}>job {job} ×</button>}
      </div>
      {error && <Failure text={error} />}
      {value && !shown.length && <Empty>{all.length ? 'No target matches.' : 'There are no targets. Add scrape_configs to prometheus.yml.'}</Empty>}
      {[...pools].sort(([a], [b]) => a.localeCompare(b)).map(([pool, targets]) => <Pool key={pool} pool={pool} targets={targets} />)}
    </div>
  );
}

function Pool({ pool, targets }: { pool: string; targets: TargetJson[] }) {
  const up = targets.filter(each => each.health === 'up').length;
  const sorted = [...targets].sort((a, b) => Number(a.health === 'up') - Number(b.health === 'up') || a.scrapeUrl.localeCompare(b.scrapeUrl));
  return (
    <section class="card flush">
      <div class="card-head"><h2>{pool}</h2><span class={`state ${up === targets.length ? 'good' : up ? 'warn' : 'bad'}`}>{up} of {targets.length} up</span></div>
      <div class="table-scroll">
        <table class="data-table">
          <thead><tr><th>State</th><th>Target</th><th>Labels</th><th class="number">Last scrape</th><th class="number">Took</th></tr></thead>
          <tbody>{sorted.slice(0, 500).map(each => <Row target={each} />)}</tbody>
        </table>
      </div>
      {sorted.length > 500 && <div class="line muted">{sorted.length - 500} more: filter to see them</div>}
    </section>
  );
}

function Row({ target }: { target: TargetJson }) {
  const href = safeHref(target.scrapeUrl);
  const never = target.lastScrape.startsWith('0001');
  return (
    <tr>
      <td><span class={`state ${HEALTH[target.health] ?? 'none'}`}>{target.health}</span></td>
      <td class="wrap mono">{href ? <a href={href} target="_blank" rel="noreferrer">{target.scrapeUrl}</a> : target.scrapeUrl}{target.lastError && <p class="field-error">{target.lastError}</p>}</td>
      <td class="wrap"><Labels labels={target.labels} /></td>
      <td class="number" title={target.lastScrape}>{never ? 'never' : `${formatAge(Date.parse(target.lastScrape))} ago`}</td>
      <td class="number">{formatText(target.lastScrapeDuration, 's')}</td>
    </tr>
  );
}
