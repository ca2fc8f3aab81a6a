import { get } from '../api.ts';
import { formatAge, formatDate } from '../format/dates.ts';
import { useLoad } from '../widgets/load.ts';
import { Empty, Failure } from '../widgets/notices.tsx';
import { useTicks } from '../widgets/ticks.ts';

interface Beat { name: string; every: string; grace: string; seen: string | null; due: string; state: 'good' | 'waiting' | 'missing' }

const TONE = { good: 'good', waiting: 'none', missing: 'bad' } as const;

/** Heartbeats that must come in, and when they last did. */
export function Heartbeats() {
  const tick = useTicks(5000);
  const { value, error } = useLoad(abort => get<Beat[]>('/api/heartbeats', undefined, abort), [tick]);
  return (
    <>
      {error && <Failure text={error} />}
      {value && !value.length && <Empty>No heartbeat is expected: name them under heartbeats.expected in watchkeeper.yml.</Empty>}
      {value && value.length > 0 && (
        <section class="card flush"><ul class="rows">
          {value.map(({ name, every, grace, seen, due, state }) => (
            <li key={name}><div class="line">
              <span class={`state ${TONE[state]}`}>{state}</span>
              <b>{name}</b>
              <span class="small muted">every {every}, {grace} late at most</span>
              <span class="end" title={`due ${formatDate(Date.parse(due), 'datetime')}`}>{seen ? `${formatAge(Date.parse(seen))} ago` : 'never seen'}</span>
            </div></li>
          ))}
        </ul></section>
      )}
    </>
  );
}
