/** The server's answers to a batch of queries, as frames. */

import type { Target } from '../model/dashboard.ts';
import { legendText, seriesText, type Cell, type Field, type Frame, type LogLine } from './frame.ts';

/** A number, a word for one that JSON lacks, no sample, or a native histogram. */
type Written = number | string | null | { count: string; sum: string };

export interface Answer {
  status: 'success' | 'error';
  type?: 'matrix' | 'vector' | 'scalar' | 'streams';
  times?: number[];
  series?: { labels: Record<string, string>; values: Written[] }[];
  lines?: { time_ns: string; labels: Record<string, string>; line: string }[];
  warnings?: string[];
  error?: string;
  errorType?: string;
}

const SPECIAL: Record<string, number> = { '+Inf': Infinity, '-Inf': -Infinity, Inf: Infinity, NaN: Number.NaN };

/** Values as numbers; JSON has no Inf and NaN, so they come as words. A native histogram is none. */
function numbers(values: Written[]): (number | null)[] {
  if (values.every(value => typeof value === 'number' || value === null)) return values as (number | null)[];
  return values.map(each => (typeof each === 'string' ? (SPECIAL[each] ?? Number(each)) : typeof each === 'number' ? each : null));
}

/** Turns a query's answer into frames: one a series, or one table. */
export function toFrames(answer: Answer, target: Target, legend: string | undefined, single = false): Frame[] {
  const series = answer.series ?? [];
  const times = answer.times ?? [];
  if (target.format === 'table') return [toTable(series, times, target, single)];
  const auto = legend === undefined || legend === '' || legend === '__auto';
  const shared = auto && series.length > 1 ? commonLabels(series.map(each => each.labels)) : undefined;
  return series.map(({ labels, values }) => ({
    refId: target.refId,
    shape: 'series' as const,
    length: times.length,
    fields: [
      { name: 'Time', type: 'time' as const, values: times, config: {}, refId: target.refId },
      {
        name: 'Value', type: 'number' as const, values: numbers(values), labels, config: {}, refId: target.refId,
        legend: auto ? autoLegend(labels, shared, target) : legendText(legend, labels),
      },
    ],
  }));
}

function commonLabels(all: Record<string, string>[]): Set<string> {
  const [first, ...rest] = all;
  return new Set(Object.keys(first).filter(key => rest.every(labels => labels[key] === first[key])));
}

function autoLegend(labels: Record<string, string>, shared: Set<string> | undefined, target: Target): string {
  if (!Object.keys(labels).length) return target.expr.length > 80 ? `Value #${target.refId}` : target.expr;
  if (!shared) return seriesText(labels);
  const left = Object.entries(labels).filter(([key]) => !shared.has(key));
  return left.length === 1 ? left[0][1] : left.length ? seriesText(Object.fromEntries(left)) : seriesText(labels);
}

function toTable(series: NonNullable<Answer['series']>, times: number[], target: Target, single: boolean): Frame {
  const names = [...new Set(series.flatMap(each => Object.keys(each.labels)))].sort();
  const time: Cell[] = [];
  const value: Cell[] = [];
  const labels: Cell[][] = names.map(() => []);
  for (const each of series) {
    const found = numbers(each.values);
    for (let at = 0; at < found.length; at++) {
      if (found[at] === null) continue;
      time.push(times[at]);
      value.push(found[at]);
      for (let n = 0; n < names.length; n++) labels[n].push(each.labels[names[n]] ?? '');
    }
  }
  const fields: Field[] = [
    { name: 'Time', type: 'time', values: time, config: {}, refId: target.refId },
    ...names.map((name, n): Field => ({ name, type: 'string', values: labels[n], config: {}, refId: target.refId })),
    { name: single ? 'Value' : `Value #${target.refId}`, type: 'number', values: value, config: {}, refId: target.refId },
  ];
  return { refId: target.refId, shape: 'table', fields, length: time.length };
}

/** Turns a log query's answer into lines. */
export function toLines(answer: Answer): LogLine[] {
  return (answer.lines ?? []).map(({ time_ns, labels, line }) => ({ timeNs: time_ns, ms: Number(time_ns.slice(0, -6)), labels, line }));
}
