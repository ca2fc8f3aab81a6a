/** How far apart the points of a graph are, and the intervals that dashboards refer to. */

import { durationText, parseDuration, type Span } from './time.ts';

export const SCRAPE_INTERVAL_MS = 15_000;
const POINTS_MAX = 11_000; // Prometheus refuses more a series

const ROUND: readonly (readonly [below: number, to: number])[] = [
  [10, 1], [15, 10], [35, 20], [75, 50], [150, 100], [350, 200], [750, 500], [1500, 1000], [3500, 2000], [7500, 5000], [12500, 10_000],
  [17500, 15_000], [25_000, 20_000], [45_000, 30_000], [90_000, 60_000], [210_000, 120_000], [450_000, 300_000], [750_000, 600_000],
  [1_050_000, 900_000], [1_500_000, 1_200_000], [2_700_000, 1_800_000], [5_400_000, 3_600_000], [9_000_000, 7_200_000],
  [16_200_000, 10_800_000], [32_400_000, 21_600_000], [86_400_000, 43_200_000], [604_800_000, 86_400_000], [1_814_400_000, 604_800_000],
];

/** Rounds an interval (ms) to one that people use. */
export function roundInterval(ms: number): number {
  for (const [below, to] of ROUND) if (ms < below) return to;
  return 2_592_000_000;
}

export interface Intervals {
  interval: number;
  rate: number;
}

/**
 * Works out $__interval and $__rate_interval (both ms) for a panel.
 *
 * points   how many points the panel wants: its maxDataPoints, or its width in pixels
 * least    the panel's or the query's smallest interval, such as "30s"; the scrape interval when there is none
 */
export function intervals(span: Span, points: number, least?: string, scrape = SCRAPE_INTERVAL_MS): Intervals {
  const floor = parseDuration(least) ?? scrape;
  const interval = Math.max(roundInterval((span.to - span.from) / Math.max(points, 1)), floor);
  return { interval, rate: Math.max(interval + floor, 4 * floor) };
}

/** The step of a range query: the interval, but never more points than Prometheus gives. */
export function stepFor(span: Span, interval: number, factor = 1): number {
  const safe = (span.to - span.from) / POINTS_MAX;
  const step = interval * Math.max(factor, 1);
  return step >= safe ? step : Math.ceil(safe / 1000) * 1000;
}

/** The variables that every query of a panel may use. */
export function builtIns(span: Span, { interval, rate }: Intervals): Record<string, string> {
  const seconds = Math.round((span.to - span.from) / 1000);
  const text = durationText(interval);
  return {
    __interval: text, __interval_ms: String(interval), __rate_interval: durationText(rate), __rate_interval_ms: String(rate),
    __auto: durationText(Math.max(interval, 1000)), __range: `${seconds}s`, __range_s: String(seconds), __range_ms: String(span.to - span.from),
    __from: String(span.from), __to: String(span.to), interval: text, timeFilter: '', __timeFilter: '',
  };
}

/** Splits a range into `count` steps for an interval variable's "auto". */
export function autoInterval(span: Span, count: number, least?: string): string {
  return durationText(Math.max(roundInterval((span.to - span.from) / Math.max(count, 1)), parseDuration(least) ?? 0));
}
