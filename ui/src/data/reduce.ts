/** One value out of a column, by Grafana's names for the ways. */

import type { Cell } from './frame.ts';

export const REDUCER_NAMES: Record<string, string> = {
  lastNotNull: 'Last *', last: 'Last', firstNotNull: 'First *', first: 'First', min: 'Min', max: 'Max', mean: 'Mean', sum: 'Total', count: 'Count',
  range: 'Range', delta: 'Delta', diff: 'Difference', diffperc: 'Difference %', stdDev: 'StdDev', variance: 'Variance', median: 'Median',
  allValues: 'All values', uniqueValues: 'Unique', distinctCount: 'Distinct', changeCount: 'Changes', step: 'Step', allIsNull: 'All null',
};

/** Reduces a column; null when there is nothing to reduce. */
export function reduce(values: readonly Cell[], how: string): Cell {
  if (how === 'last') return values[values.length - 1] ?? null;
  if (how === 'first') return values[0] ?? null;
  if (how === 'lastNotNull') {
    for (let at = values.length - 1; at >= 0; at--) if (values[at] !== null && values[at] !== undefined && !Number.isNaN(values[at])) return values[at];
    return null;
  }
  if (how === 'firstNotNull') return values.find(value => value !== null && value !== undefined && !Number.isNaN(value)) ?? null;
  if (how === 'allIsNull') return values.every(value => value === null || value === undefined) ? 1 : 0;
  if (how === 'distinctCount') return new Set(values).size;
  if (how === 'uniqueValues' || how === 'allUniques') return [...new Set(values)].join(', ');
  if (how === 'allValues') return values.join(', ');
  if (how === 'count') return values.filter(value => value !== null && value !== undefined).length;
  return numeric(values, how);
}

function numeric(values: readonly Cell[], how: string): number | null {
  const known = values.filter((value): value is number => typeof value === 'number' && !Number.isNaN(value));
  if (!known.length) return null;
  let [low, high, sum, up, changes] = [known[0], known[0], 0, 0, 0];
  for (let at = 0; at < known.length; at++) {
    const value = known[at];
    sum += value;
    if (value < low) low = value;
    if (value > high) high = value;
    if (at && value !== known[at - 1]) changes++;
    if (at) up += value >= known[at - 1] ? value - known[at - 1] : value; // a fall is a counter that began again
  }
  const mean = sum / known.length;
  const first = known[0];
  const last = known[known.length - 1];
  const variance = (): number => known.reduce((total, value) => total + (value - mean) ** 2, 0) / known.length;
  switch (how) {
    case 'min': return low;
    case 'max': return high;
    case 'sum': case 'total': return sum;
    case 'range': return high - low;
    case 'delta': return up;
    case 'diff': return last - first;
    case 'diffperc': return first ? (last - first) / first : null;
    case 'changeCount': return changes;
    case 'variance': return variance();
    case 'stdDev': return Math.sqrt(variance());
    case 'median': return quantile(known, 0.5);
    case 'mean': case 'avg': return mean;
    default: {
      const percentile = /^p(\d{1,2})$/.exec(how);
      return percentile ? quantile(known, Number(percentile[1]) / 100) : mean;
    }
  }
}

function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * q;
  const low = Math.floor(place);
  return sorted[low] + ((sorted[low + 1] ?? sorted[low]) - sorted[low]) * (place - low);
}
