import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatText } from '../../src/format/units.ts';
import { formatDuration, formatFromNow, formatTick, formatDate, setZone } from '../../src/format/dates.ts';

setZone('utc');

const CASES: [number, string, string][] = [
  [0, 'short', '0'], [1234, 'short', '1.23 K'], [1_000_000, 'short', '1 Mil'], [0.0456, 'short', '0.0456'], [-2500, 'short', '-2.5 K'],
  [1024, 'bytes', '1 KiB'], [1536, 'bytes', '1.5 KiB'], [1_073_741_824, 'bytes', '1 GiB'], [1000, 'decbytes', '1 kB'], [5, 'bytes', '5 B'],
  [1000, 'Bps', '1 kB/s'], [8_000_000, 'bps', '8 Mb/s'], [2048, 'binBps', '2 KiB/s'], [3, 'deckbytes', '3 kB'], [2048, 'mbytes', '2 GiB'],
  [0.25, 'percentunit', '25%'], [12.345, 'percent', '12.3%'], [0.5, 's', '500 ms'], [0.0005, 's', '500 µs'], [90, 's', '1.5 min'], [7200, 's', '2 hours'],
  [1500, 'ms', '1.5 s'], [12, 'reqps', '12 req/s'], [1200, 'ops', '1.2K ops/s'], [1, 'bool', 'True'], [0, 'bool_yes_no', 'No'], [21.5, 'celsius', '21.5 °C'],
  [3_600_000_000, 'hertz', '3.6 GHz'], [0.002, 'amp', '2 mA'], [5, 'req/s', '5 req/s'], [5, 'suffix:widgets', '5widgets'], [1234.5, 'currencyUSD', '$1.23K'],
  [90_061, 'dtdurations', '1 day, 1 hour'], [255, 'hex', 'FF'], [1_700_000_000_000, 'dateTimeAsIso', '2023-11-14 22:13:20'], [12, 'none', '12'],
  [Infinity, 'short', '+Inf'], [999.999, 'short', '1 K'], [1023.999, 'bytes', '1 KiB'],
];

test('values are written in their unit', () => {
  for (const [value, unit, text] of CASES) assert.equal(formatText(value, unit), text, `${value} ${unit}`);
});

test('decimals are kept when asked for', () => {
  assert.equal(formatText(1.5, 'percent', 2), '1.50%');
  assert.equal(formatText(1_500_000, 'short', 1), '1.5 Mil');
  assert.equal(formatText(3, 's', 0), '3 s');
});

test('nothing and NaN are said as such', () => {
  assert.equal(formatText(null, 'bytes'), '–');
  assert.equal(formatText(Number.NaN, 's'), 'NaN');
});

test('durations and ages are short', () => {
  assert.equal(formatDuration(5_400_000), '1h30m');
  assert.equal(formatDuration(90_061_000, 2), '1d1h');
  assert.equal(formatFromNow(1000, 181_000), '3 minutes ago');
});

test('ticks say as much as their distance needs', () => {
  const noon = Date.UTC(2026, 10, 22, 12, 30, 15);
  assert.equal(formatTick(noon, 1000), '12:30:15');
  assert.equal(formatTick(noon, 300_000), '12:30');
  assert.equal(formatTick(Date.UTC(2026, 10, 22), 86_400_000), '11-22');
  assert.equal(formatDate(noon, 'millis'), '2026-11-22 12:30:15.000');
});
