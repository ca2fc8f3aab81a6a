import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtIns, intervals, roundInterval, stepFor } from '../../src/model/interval.ts';
import { durationText, parseDuration, parseMoment, parseRange, rangeText } from '../../src/model/time.ts';

const NOW = new Date(2026, 10, 22, 12, 34, 56, 789).getTime(); // a Sunday

test('moments are read as Grafana writes them', () => {
  assert.equal(parseMoment('now', NOW), NOW);
  assert.equal(parseMoment('now-6h', NOW), NOW - 21_600_000);
  assert.equal(parseMoment('now-1d/d', NOW), new Date(2026, 10, 21).getTime());
  assert.equal(parseMoment('now-1d/d', NOW, true), new Date(2026, 10, 22).getTime() - 1);
  assert.equal(parseMoment('now/w', NOW), new Date(2026, 10, 16).getTime());
  assert.equal(parseMoment('1700000000000', NOW), 1_700_000_000_000);
  assert.equal(parseMoment('2026-01-31 08:00', NOW), new Date(2026, 0, 31, 8).getTime());
  assert.equal(parseMoment('now-6x', NOW), undefined);
  assert.equal(parseMoment('yesterday-ish', NOW), undefined);
});

test('a range the wrong way round is none', () => {
  assert.equal(parseRange({ from: 'now', to: 'now-1h' }, NOW), undefined);
  assert.deepEqual(parseRange({ from: 'now-1h', to: 'now' }, NOW), { from: NOW - 3_600_000, to: NOW });
});

test('durations go both ways', () => {
  assert.equal(parseDuration('1h30m'), 5_400_000);
  assert.equal(parseDuration('>10s'), 10_000);
  assert.equal(parseDuration('250ms'), 250);
  assert.equal(parseDuration('five'), undefined);
  assert.equal(parseDuration(''), undefined);
  assert.equal(durationText(90_000), '90s');
  assert.equal(durationText(3_600_000), '1h');
  assert.equal(durationText(1500), '1500ms');
});

test('ranges have names', () => {
  assert.equal(rangeText({ from: 'now-6h', to: 'now' }, String), 'Last 6 hours');
  assert.equal(rangeText({ from: 'now-1h', to: 'now' }, String), 'Last hour');
  assert.equal(rangeText({ from: '5000000000', to: '6000000000' }, ms => `#${ms}`), '#5000000000 to #6000000000');
});

test('intervals are round, at least the scrape interval, and rates span four scrapes', () => {
  const hour = { from: 0, to: 3_600_000 };
  assert.equal(roundInterval(12_000), 10_000);
  assert.deepEqual(intervals(hour, 1000), { interval: 15_000, rate: 60_000 });
  assert.deepEqual(intervals({ from: 0, to: 86_400_000 }, 800), { interval: 120_000, rate: 135_000 });
  assert.deepEqual(intervals(hour, 1000, '1m'), { interval: 60_000, rate: 240_000 });
  assert.equal(stepFor({ from: 0, to: 365 * 86_400_000 }, 1000), 2_867_000);
  const names = builtIns(hour, intervals(hour, 1000));
  assert.equal(names.__rate_interval, '1m');
  assert.equal(names.__range, '3600s');
  assert.equal(names.__interval_ms, '15000');
});
