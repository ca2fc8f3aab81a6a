/** Moments and ranges as people write them: "now-6h/d", a date, Unix milliseconds. */

const UNITS: Record<string, number> = {
  ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000, y: 31_536_000_000, M: 2_592_000_000,
};

export interface Range {
  from: string;
  to: string;
}

export interface Span {
  from: number;
  to: number;
}

/** Reads a duration such as "5m", "1h30m", "250ms"; undefined when it is none. A leading ">" is passed over. */
export function parseDuration(text: string | undefined | null): number | undefined {
  if (!text) return undefined;
  const trimmed = text.trim().replace(/^>=?/, '');
  let total = 0;
  let seen = '';
  for (const match of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdwyM])/g)) {
    total += Number(match[1]) * UNITS[match[2]];
    seen += match[0];
  }
  return seen && seen === trimmed ? total : undefined;
}

/** Writes milliseconds as a duration of PromQL: the largest unit that divides it. */
export function durationText(ms: number): string {
  const whole = Math.max(1, Math.round(ms));
  for (const unit of ['w', 'd', 'h', 'm', 's'] as const) {
    if (whole % UNITS[unit] === 0 && unit !== 'w') return `${whole / UNITS[unit]}${unit}`;
  }
  return `${whole}ms`;
}

function shift(date: Date, count: number, unit: string): Date {
  const moved = new Date(date);
  if (unit === 'M') moved.setMonth(moved.getMonth() + count);
  else if (unit === 'y') moved.setFullYear(moved.getFullYear() + count);
  else if (unit === 'd') moved.setDate(moved.getDate() + count);
  else if (unit === 'w') moved.setDate(moved.getDate() + 7 * count);
  else moved.setTime(moved.getTime() + count * UNITS[unit]);
  return moved;
}

function startOf(date: Date, unit: string): Date {
  const start = new Date(date);
  start.setMilliseconds(0);
  if (unit === 's') return start;
  start.setSeconds(0);
  if (unit === 'm') return start;
  start.setMinutes(0);
  if (unit === 'h') return start;
  start.setHours(0);
  if (unit === 'w') start.setDate(start.getDate() - ((start.getDay() + 6) % 7));
  if (unit === 'M' || unit === 'y') start.setDate(1);
  if (unit === 'y') start.setMonth(0);
  return start;
}

/**
 * Reads one end of a range.
 *
 * text     "now", "now-6h", "now-1d/d", Unix ms, or a date
 * ends     whether it is the later end: "/d" then rounds up
 * returns  Unix ms, or undefined when it cannot be read
 */
export function parseMoment(text: string, now: number, ends = false): number | undefined {
  const trimmed = text.trim();
  if (/^-?\d{9,}$/.test(trimmed)) return Number(trimmed);
  if (!trimmed.startsWith('now')) {
    const date = Date.parse(/^\d{4}-\d\d-\d\d$/.test(trimmed) ? `${trimmed}T00:00:00` : trimmed.replace(' ', 'T'));
    return Number.isNaN(date) ? undefined : date;
  }
  let rest = trimmed.slice(3);
  let date = new Date(now);
  while (rest) {
    const match = /^([+-])(\d+)([smhdwyM])|^\/([smhdwyM])/.exec(rest);
    if (!match) return undefined;
    rest = rest.slice(match[0].length);
    if (match[4]) {
      date = startOf(date, match[4]);
      if (ends) date = new Date(shift(date, 1, match[4]).getTime() - 1);
    } else {
      date = shift(date, (match[1] === '-' ? -1 : 1) * Number(match[2]), match[3]);
    }
  }
  return date.getTime();
}

/** Reads a whole range; undefined when an end cannot be read or they are the wrong way round. */
export function parseRange(range: Range, now: number): Span | undefined {
  const from = parseMoment(range.from, now);
  const to = parseMoment(range.to, now, true);
  return from === undefined || to === undefined || from >= to ? undefined : { from, to };
}

/** Says a range in words, or gives its two ends. */
export function rangeText(range: Range, show: (ms: number) => string): string {
  const match = /^now-(\d+)([smhdwyM])$/.exec(range.from);
  if (range.to === 'now' && match) {
    const names: Record<string, string> = { s: 'second', m: 'minute', h: 'hour', d: 'day', w: 'week', M: 'month', y: 'year' };
    const count = Number(match[1]);
    return `Last ${count === 1 ? '' : `${count} `}${names[match[2]]}${count === 1 ? '' : 's'}`;
  }
  if (range.from === 'now/d' && range.to.startsWith('now')) return 'Today';
  if (range.from === 'now-1d/d' && range.to === 'now-1d/d') return 'Yesterday';
  const end = (text: string): string => (/^\d+$/.test(text) ? show(Number(text)) : text);
  return `${end(range.from)} to ${end(range.to)}`;
}
