/** Values as people read them. Unit ids are Grafana's; an id that is not known is shown as a suffix. */

import { formatDate, formatDuration, formatFromNow } from './dates.ts';

export interface Formatted {
  prefix?: string;
  text: string;
  suffix?: string;
}

type Format = (value: number, decimals?: number) => Formatted;

const SI_SMALL = ['', 'm', 'µ', 'n', 'p'];
const SI_LARGE = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
const IEC = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi'];
const SHORT = ['', ' K', ' Mil', ' Bil', ' Tri', ' Quadr', ' Quint', ' Sext', ' Sept'];

/** Writes a number with the decimals asked for, or with as many as three significant digits need. */
export function fixed(value: number, decimals?: number | null): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
  if (decimals !== undefined && decimals !== null) return value.toFixed(Math.min(Math.max(decimals, 0), 20));
  if (Number.isInteger(value)) return String(value);
  const size = Math.abs(value);
  const wanted = Math.min(Math.max(2 - Math.floor(Math.log10(size)), 0), 12);
  const text = value.toFixed(wanted);
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

function stepped(base: number, large: readonly string[], unit: string, from = 0, small: readonly string[] = ['']): Format {
  return (value, decimals) => {
    let size = Math.abs(value);
    let step = 0;
    if (!Number.isFinite(value) || value === 0) return { text: fixed(value, decimals), suffix: glue(large[from] ?? '', unit) };
    while (size >= base * 0.99995 && from + step < large.length - 1) { size /= base; step++; }
    let down = 0;
    while (step === 0 && from === 0 && size < 1 && down < small.length - 1) { size *= base; down++; }
    const sign = value < 0 ? -1 : 1;
    const symbol = down ? small[down] : large[from + step];
    return { text: fixed(sign * size, decimals), suffix: glue(symbol, unit) };
  };
}

function glue(symbol: string, unit: string): string {
  return symbol.startsWith(' ') ? symbol + unit : symbol || unit ? ` ${symbol}${unit}` : '';
}

const si = (unit: string, from = 0): Format => stepped(1000, SI_LARGE, unit, from, SI_SMALL);
const large = (unit: string, from = 0): Format => stepped(1000, SI_LARGE, unit, from);
const iec = (unit: string, from = 0): Format => stepped(1024, IEC, unit, from);
const short = stepped(1000, SHORT, '');
const rate = (unit: string): Format => (value, decimals) => {
  const { text, suffix } = short(value, decimals);
  return { text, suffix: `${(suffix ?? '').replace(' Mil', 'M').replace(' Bil', 'B').replace(' K', 'K')} ${unit}` };
};
const plain = (suffix: string): Format => (value, decimals) => ({ text: fixed(value, decimals), suffix });
const money = (sign: string): Format => (value, decimals) => {
  const { text, suffix } = short(value, decimals);
  return { prefix: sign, text, suffix: (suffix ?? '').replace(' Mil', 'M').replace(' Bil', 'B').replace(' ', '') };
};
const words = (yes: string, no: string): Format => value => ({ text: value === 0 ? no : yes });

const SPANS: readonly [string, number][] = [['week', 604800], ['day', 86400], ['hour', 3600], ['min', 60], ['s', 1]];

function seconds(value: number, decimals?: number): Formatted {
  const size = Math.abs(value);
  if (size === 0 || !Number.isFinite(value)) return { text: fixed(value, decimals), suffix: ' s' };
  if (size < 1e-6) return { text: fixed(value * 1e9, decimals), suffix: ' ns' };
  if (size < 1e-3) return { text: fixed(value * 1e6, decimals), suffix: ' µs' };
  if (size < 1) return { text: fixed(value * 1e3, decimals), suffix: ' ms' };
  if (size < 60) return { text: fixed(value, decimals), suffix: ' s' };
  if (size < 3600) return { text: fixed(value / 60, decimals), suffix: ' min' };
  if (size < 86400) return { text: fixed(value / 3600, decimals), suffix: size < 7200 ? ' hour' : ' hours' };
  if (size < 604800) return { text: fixed(value / 86400, decimals), suffix: size < 172800 ? ' day' : ' days' };
  if (size < 31536000) return { text: fixed(value / 604800, decimals), suffix: size < 1209600 ? ' week' : ' weeks' };
  return { text: fixed(value / 31536000, decimals), suffix: size < 63072000 ? ' year' : ' years' };
}

const span = (factor: number): Format => (value, decimals) => seconds(value * factor, decimals);
const clock = (factor: number): Format => value => ({ text: formatDuration(value * factor * 1000) });

function longSpan(factor: number): Format {
  return (value, decimals) => {
    let left = Math.abs(value * factor);
    const parts: string[] = [];
    for (const [name, size] of [['year', 31536000] as const, ...SPANS]) {
      const count = Math.floor(left / size);
      if (count || (name === 's' && !parts.length)) {
        parts.push(name === 's' ? `${count} s` : `${count} ${name}${count === 1 ? '' : 's'}`);
        left -= count * size;
      }
      if (parts.length > Math.min(decimals ?? 1, 4)) break;
    }
    return { text: (value < 0 ? '-' : '') + parts.join(', ') };
  };
}

const FORMATS: Record<string, Format> = {
  none: plain(''), string: plain(''), short, sishort: si(''),
  percent: plain('%'), percentunit: (value, decimals) => ({ text: fixed(value * 100, decimals), suffix: '%' }),
  humidity: plain(' %H'), dB: plain(' dB'), candela: plain(' cd'), ppm: plain(' ppm'), degree: plain('°'), radian: plain(' rad'),
  celsius: plain(' °C'), fahrenheit: plain(' °F'), kelvin: plain(' K'), pixel: plain(' px'),
  hex: value => ({ text: Math.round(value).toString(16).toUpperCase() }),
  hex0x: value => ({ text: `0x${Math.round(value).toString(16).toUpperCase()}` }),
  sci: (value, decimals) => ({ text: value.toExponential(decimals ?? undefined) }),
  locale: (value, decimals) => ({ text: value.toLocaleString(undefined, { maximumFractionDigits: decimals ?? 3 }) }),
  bool: words('True', 'False'), bool_yes_no: words('Yes', 'No'), bool_on_off: words('On', 'Off'),
  bytes: iec('B'), kbytes: iec('B', 1), mbytes: iec('B', 2), gbytes: iec('B', 3), tbytes: iec('B', 4), pbytes: iec('B', 5),
  decbytes: large('B'), deckbytes: large('B', 1), decmbytes: large('B', 2), decgbytes: large('B', 3), dectbytes: large('B', 4),
  bits: iec('b'), decbits: large('b'),
  Bps: large('B/s'), binBps: iec('B/s'), bps: large('b/s'), binbps: iec('b/s'), KBs: large('B/s', 1), MBs: large('B/s', 2), GBs: large('B/s', 3),
  KiBs: iec('B/s', 1), MiBs: iec('B/s', 2), GiBs: iec('B/s', 3), Kbits: large('b/s', 1), Mbits: large('b/s', 2), Gbits: large('b/s', 3),
  pps: large('p/s'), hertz: si('Hz'), rothz: si('Hz'), rotrpm: plain(' rpm'),
  s: seconds, ms: span(1e-3), µs: span(1e-6), us: span(1e-6), ns: span(1e-9), m: span(60), h: span(3600), d: span(86400),
  dtdurations: longSpan(1), dtdurationms: longSpan(1e-3), clocks: clock(1), clockms: clock(1e-3), timeticks: span(1e-2), dthms: clock(1),
  ops: rate('ops/s'), reqps: rate('req/s'), rps: rate('rd/s'), wps: rate('wr/s'), iops: rate('io/s'), cps: rate('c/s'), eps: rate('evt/s'),
  mps: rate('msg/s'), recps: rate('rec/s'), rowsps: rate('rows/s'), opm: rate('ops/m'), reqpm: rate('req/m'), rpm: rate('rd/m'),
  wpm: rate('wr/m'), cpm: rate('c/m'), epm: rate('evt/m'),
  watt: si('W'), kwatt: large('W', 1), voltamp: si('VA'), volt: si('V'), amp: si('A'), ohm: si('Ω'), joule: si('J'), watth: si('Wh'),
  lengthm: si('m'), lengthmm: plain(' mm'), lengthkm: plain(' km'), massg: si('g'), masskg: large('g', 1), litre: si('L'), pressurepa: si('Pa'),
  velocityms: plain(' m/s'), velocitykmh: plain(' km/h'), accMS2: plain(' m/s²'),
  currencyUSD: money('$'), currencyEUR: money('€'), currencyGBP: money('£'), currencyJPY: money('¥'), currencyINR: money('₹'),
  dateTimeAsIso: value => ({ text: formatDate(value, 'datetime') }), dateTimeAsLocal: value => ({ text: formatDate(value, 'datetime') }),
  dateTimeAsUS: value => ({ text: formatDate(value, 'datetime') }), dateTimeAsSystem: value => ({ text: formatDate(value, 'datetime') }),
  dateTimeAsIsoNoDateIfToday: value => ({ text: formatDate(value, 'datetime') }), dateTimeFromNow: value => ({ text: formatFromNow(value) }),
  conms: rate('conn/s'), percentunit0: plain('%'), flops: si('FLOP/s'), hashs: si('H/s'),
};

function made(unit: string): Format {
  const at = unit.indexOf(':');
  const [kind, rest] = at > 0 ? [unit.slice(0, at), unit.slice(at + 1)] : ['', unit];
  if (kind === 'time') return value => ({ text: formatDate(value, 'datetime') });
  if (kind === 'suffix') return plain(rest);
  if (kind === 'prefix') return (value, decimals) => ({ prefix: rest, text: fixed(value, decimals) });
  if (kind === 'si') return si(rest.replace(/^[mµnkMGT](?=\w)/, ''));
  if (kind === 'count') return rate(rest);
  if (kind === 'currency') return money(rest);
  if (kind === 'bool') { const [yes, no] = rest.split('/'); return words(yes, no ?? ''); }
  return plain(` ${unit}`);
}

/** Formats a number in a unit. */
export function format(value: number | null | undefined, unit = '', decimals?: number | null): Formatted {
  if (value === null || value === undefined) return { text: '–' };
  if (Number.isNaN(value)) return { text: 'NaN' };
  const chosen = !unit ? plain('') : (FORMATS[unit] ?? made(unit));
  return chosen(value, decimals ?? undefined);
}

/** Formats a number in a unit, as one string. */
export function formatText(value: number | null | undefined, unit = '', decimals?: number | null): string {
  const { prefix, text, suffix } = format(value, unit, decimals);
  return (prefix ?? '') + text + (suffix ?? '');
}
