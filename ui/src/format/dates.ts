/** Dates and durations: 24 hours, in the zone that the page is set to. */

let zone: string | undefined;
const made = new Map<string, Intl.DateTimeFormat>();

/** Chooses the time zone for everything drawn from now on: an IANA name, "utc", or "browser". */
export function setZone(name: string | undefined): void {
  zone = !name || name === 'browser' ? undefined : name === 'utc' ? 'UTC' : name;
  made.clear();
  if (zone === undefined || zone === 'UTC') return;
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
  } catch {
    zone = undefined;
  }
}

export function zoneName(): string {
  return zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
}

const two = (count: number): string => (count < 10 ? `0${count}` : String(count));

function parts(ms: number): Record<string, string> {
  if (zone === undefined || zone === 'UTC') { // the usual zones need no Intl, which is slow to start
    const date = new Date(zone === undefined ? ms - new Date(ms).getTimezoneOffset() * 60_000 : ms);
    return {
      year: String(date.getUTCFullYear()), month: two(date.getUTCMonth() + 1), day: two(date.getUTCDate()),
      hour: two(date.getUTCHours()), minute: two(date.getUTCMinutes()), second: two(date.getUTCSeconds()),
    };
  }
  let formatter = made.get('all');
  if (!formatter) {
    formatter = new Intl.DateTimeFormat('en-GB', {
      year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23', timeZone: zone,
    });
    made.set('all', formatter);
  }
  const found: Record<string, string> = {};
  for (const part of formatter.formatToParts(ms)) found[part.type] = part.value;
  return found;
}

export type DateStyle = 'datetime' | 'time' | 'minute' | 'day' | 'month' | 'millis';

/** Writes a Unix time (ms): "2026-11-22 03:04:05" and its shorter forms. */
export function formatDate(ms: number, style: DateStyle): string {
  if (!Number.isFinite(ms)) return '–';
  const { year, month, day, hour, minute, second } = parts(ms);
  if (style === 'minute') return `${hour}:${minute}`;
  if (style === 'time') return `${hour}:${minute}:${second}`;
  if (style === 'day') return `${month}-${day}`;
  if (style === 'month') return `${year}-${month}`;
  const whole = `${year}-${month}-${day} ${hour}:${minute}:${second}`;
  return style === 'millis' ? `${whole}.${String(Math.floor(ms) % 1000).padStart(3, '0')}` : whole;
}

/** Says how long ago (or until) a moment is: "3 minutes ago". */
export function formatFromNow(ms: number, now = Date.now()): string {
  const away = Math.abs(now - ms) / 1000;
  if (!Number.isFinite(away)) return '–';
  const [count, name] =
    away < 60 ? [Math.round(away), 'second'] : away < 3600 ? [Math.round(away / 60), 'minute'] :
    away < 86400 ? [Math.round(away / 3600), 'hour'] : [Math.round(away / 86400), 'day'];
  const text = `${count} ${name}${count === 1 ? '' : 's'}`;
  return ms <= now ? `${text} ago` : `in ${text}`;
}

/** Says how long ago in few letters: "12s", "3m", "5h". */
export function formatAge(ms: number, now = Date.now()): string {
  const away = Math.max(0, now - ms) / 1000;
  if (!Number.isFinite(away)) return '–';
  if (away < 60) return `${away < 10 ? away.toFixed(1).replace('.0', '') : Math.round(away)}s`;
  return formatDuration(away * 1000, 2);
}

/** Writes a duration (ms) as Prometheus does: "1h30m". */
export function formatDuration(ms: number, most = 9): string {
  let left = Math.abs(ms);
  if (left < 1000) return `${Math.round(left)}ms`;
  left = Math.floor(left / 1000);
  const found: string[] = [];
  for (const [name, size] of [['d', 86400], ['h', 3600], ['m', 60], ['s', 1]] as const) {
    const count = Math.floor(left / size);
    if (count) found.push(`${count}${name}`);
    left -= count * size;
  }
  return (ms < 0 ? '-' : '') + found.slice(0, most).join('');
}

/** Labels a tick of a time axis by how far apart ticks are (ms). */
export function formatTick(ms: number, apart: number): string {
  if (apart < 60_000) return formatDate(ms, 'time');
  const time = formatDate(ms, 'minute');
  if (apart >= 86_400_000 * 28) return formatDate(ms, 'month');
  if (apart >= 86_400_000 || (time === '00:00' && apart >= 3_600_000)) return formatDate(ms, 'day');
  return time;
}
