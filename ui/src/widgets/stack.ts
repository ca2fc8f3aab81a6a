/** Columns for drawing: one shared time axis, gaps where there is no sample, stacked where asked. */

export type Column = (number | null | undefined)[];

/** Puts columns with times of their own on one axis; the usual case, equal times, copies nothing. */
export function align(times: readonly number[][], columns: readonly Column[]): { times: number[]; columns: Column[] } {
  const first = times[0] ?? [];
  if (times.every(each => sameTimes(each, first))) return { times: first, columns: [...columns] };
  const all = [...new Set(times.flat())].sort((a, b) => a - b);
  const place = new Map(all.map((time, at) => [time, at]));
  return {
    times: all,
    // undefined, not null: uPlot draws through what was never asked, and breaks at what was absent
    columns: columns.map((column, n) => {
      const wide: Column = Array.from({ length: all.length }, () => undefined);
      for (let at = 0; at < column.length; at++) wide[place.get(times[n][at])!] = column[at];
      return wide;
    }),
  };
}

function sameTimes(a: readonly number[], b: readonly number[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length || a[0] !== b[0] || a[a.length - 1] !== b[b.length - 1]) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}

/** Replaces what cannot be drawn by a gap; gives the same array when all can. */
export function finite(column: Column): Column {
  for (const value of column) {
    if (value !== null && value !== undefined && !Number.isFinite(value)) return column.map(each => (Number.isFinite(each) ? each : null));
  }
  return column;
}

/** Adds each column of a group to those below it; "percent" gives shares (0–1) of the group's whole. */
export function stack(columns: readonly Column[], groups: readonly (string | undefined)[], percent: boolean): Column[] {
  const sums = new Map<string, Float64Array>();
  const wholes = new Map<string, Float64Array>();
  const length = columns[0]?.length ?? 0;
  const keyOf = (n: number): string | undefined => {
    if (groups[n] === undefined) return undefined;
    const sample = columns[n].find(value => value);
    return `${groups[n]}${(sample ?? 0) < 0 ? '-' : '+'}`; // what lies below the line is stacked downwards
  };
  const keys = columns.map((_, n) => keyOf(n));
  if (percent) {
    for (const [n, column] of columns.entries()) {
      const key = keys[n];
      if (key === undefined) continue;
      const whole = wholes.get(key) ?? new Float64Array(length);
      for (let at = 0; at < length; at++) whole[at] += Math.abs(column[at] ?? 0);
      wholes.set(key, whole);
    }
  }
  return columns.map((column, n) => {
    const key = keys[n];
    if (key === undefined) return column;
    const sum = sums.get(key) ?? new Float64Array(length);
    sums.set(key, sum);
    const whole = wholes.get(key);
    return column.map((value, at) => {
      if (value !== null && value !== undefined) sum[at] += whole ? value / (whole[at] || 1) : value;
      return value === null || value === undefined ? (sum[at] ? sum[at] : value) : sum[at];
    });
  });
}
