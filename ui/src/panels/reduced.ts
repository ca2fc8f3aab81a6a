/** The single values that stat, gauge, bar gauge and pie show: one a series, or one a row. */

import { displayName, type Cell, type Field } from '../data/frame.ts';
import { reduce } from '../data/reduce.ts';
import { pattern } from '../data/transform.ts';
import { show, type Shown } from '../format/values.ts';
import { theme } from '../theme.ts';
import type { PanelProps } from './view.ts';

export interface Single extends Shown {
  name: string;
  field: Field;
  /** The column behind the value, for a spark line. */
  values: Cell[];
  times: number[];
  low: number;
  high: number;
}

const SINGLES_MAX = 100;

export function singles({ panel, data }: PanelProps): Single[] {
  const { calcs = ['lastNotNull'], values: eachRow = false, fields = '', limit = 25 } = panel.options.reduceOptions ?? {};
  const how: string = calcs[0] ?? 'lastNotNull';
  const wanted = fields ? (String(fields).startsWith('/') ? pattern(String(fields)) : undefined) : undefined;
  const found: Single[] = [];
  for (const frame of data.frames) {
    const time = frame.fields.find(field => field.type === 'time');
    const label = frame.fields.find(field => field.type === 'string');
    for (const field of frame.fields) {
      const name = displayName(field, frame);
      if (field === time || found.length >= SINGLES_MAX || field.config.custom?.hideFrom?.viz === true) continue;
      if (wanted ? !wanted.test(name) : fields ? name !== fields : field.type !== 'number') continue;
      const { low, high } = limits(field);
      const make = (value: Cell, called: string): Single => ({
        ...show(value, field.config, theme.value, found.length, [low, high]), name: called, field, values: field.values, times: (time?.values ?? []) as number[], low, high,
      });
      if (!eachRow) { found.push(make(reduce(field.values, how), name)); continue; }
      for (let at = 0; at < Math.min(frame.length, limit); at++) found.push(make(field.values[at], label ? String(label.values[at]) : name));
    }
  }
  return found;
}

/** The ends of a gauge: the field's own, or the least and most of what it shows. */
function limits(field: Field): { low: number; high: number } {
  const { min, max } = field.config;
  const percent = field.config.unit === 'percentunit' ? 1 : 100;
  if (min !== undefined && max !== undefined) return { low: min, high: max };
  const [least, most] = [reduce(field.values, 'min'), reduce(field.values, 'max')] as (number | null)[];
  const low = min ?? Math.min(0, least ?? 0);
  const high = max ?? (field.config.unit?.startsWith('percent') ? percent : Math.max(most ?? percent, low + 1));
  return { low, high };
}
