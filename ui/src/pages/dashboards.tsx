import { useMemo, useState } from 'preact/hooks';
import { get } from '../api.ts';
import { useLoad } from '../widgets/load.ts';
import { Empty, Failure } from '../widgets/notices.tsx';
import { Title } from '../widgets/title.tsx';

interface Found { uid: string; title: string; tags?: string[]; folderTitle?: string }

export function Dashboards() {
  const [search, setSearch] = useState('');
  const [tag, setTag] = useState('');
  const { value, error, busy } = useLoad(abort => get<Found[]>('/api/search', { limit: 5000, type: 'dash-db' }, abort), []);
  const all = (value ?? []).filter(each => each.uid);
  const tags = useMemo(() => [...new Set(all.flatMap(each => each.tags ?? []))].sort(), [value]);
  const wanted = search.trim().toLowerCase();
  const shown = all.filter(each => (!tag || each.tags?.includes(tag)) && (!wanted || [each.title, each.folderTitle, ...(each.tags ?? [])].join(' ').toLowerCase().includes(wanted)));
  const folders = new Map<string, Found[]>();
  for (const each of shown) folders.set(each.folderTitle || 'General', [...(folders.get(each.folderTitle || 'General') ?? []), each]);
  return (
    <div class="page narrow">
      <Title text="Dashboards" />
      <div class="filters">
        <input type="search" data-search placeholder="Search dashboards ( / )" aria-label="Search dashboards" value={search} onInput={event => setSearch(event.currentTarget.value)} />
        {tags.map(each => <button type="button" class={`tag ${tag === each ? 'chosen' : ''}`} aria-pressed={tag === each} onClick={() => setTag(tag === each ? '' : each)}>{each}</button>)}
      </div>
      {error && <Failure text={error} />}
      {!busy && !shown.length && <Empty>{all.length ? 'No dashboard matches.' : <>There are no dashboards yet. Put Grafana JSON files into the configuration's <code>dashboards/</code> folder.</>}</Empty>}
      {[...folders].sort(([a], [b]) => a.localeCompare(b)).map(([folder, list]) => (
        <section class="card flush">
          <h2>{folder}</h2>
          <ul class="rows">
            {list.map(each => (
              <li><a class="row-link" href={`/d/${each.uid}`}><b>{each.title}</b><span class="tags">{(each.tags ?? []).map(name => <span class="tag">{name}</span>)}</span></a></li>
            ))}
          </ul>
        </section>
      ))}
    </div>
  );
}
