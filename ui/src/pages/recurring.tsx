import { get, remove, user } from '../api.ts';
import { formatDate } from '../format/dates.ts';
import { useLoad } from '../widgets/load.ts';
import { Failure } from '../widgets/notices.tsx';
import { useTicks } from '../widgets/ticks.ts';
import { toast } from '../widgets/toast.tsx';

interface RecurringJson { id: string; matchers: string[]; comment: string; created_by: string; next: { starts: string; ends: string }[] }

/** Silences that come again, with their next times. */
export function Recurring() {
  const tick = useTicks(10_000);
  const { value, error, again } = useLoad(abort => get<RecurringJson[]>('/api/recurring-silences', undefined, abort), [tick]);
  const end = async (id: string): Promise<void> => {
    try {
      await remove(`/api/recurring-silences/${encodeURIComponent(id)}`);
      toast('The recurring silence has ended.');
      again();
    } catch (problem) {
      toast((problem as Error).message, 'bad');
    }
  };
  if (error) return <Failure text={error} />;
  if (!value?.length) return null;
  return (
    <section class="card flush">
      <div class="card-head"><h2>Recurring</h2></div>
      <ul class="rows">
        {value.map(({ id, matchers, comment, created_by, next }) => (
          <li key={id}><div class="line">
            <span class="labels">{matchers.map(each => <code class="label">&nbsp;{each}</code>)}</span>
            <span class="small">{comment}</span>
            <span class="end" title={next.map(each => formatDate(Date.parse(each.starts), 'datetime')).join('\n')}>
              {created_by} · {next[0] ? `next ${formatDate(Date.parse(next[0].starts), 'datetime')} to ${formatDate(Date.parse(next[0].ends), 'datetime')}` : 'never again'}
            </span>
            {user.value?.role !== 'Viewer' && <button type="button" class="button small danger" onClick={() => void end(id)}>End</button>}
          </div></li>
        ))}
      </ul>
    </section>
  );
}
