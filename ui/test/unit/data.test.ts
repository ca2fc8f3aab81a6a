import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toFrames, toLines, type Answer } from '../../src/data/answers.ts';
import { displayName, type Field, type Frame } from '../../src/data/frame.ts';
import { configure } from '../../src/data/overrides.ts';
import { reduce } from '../../src/data/reduce.ts';
import { pattern, transform } from '../../src/data/transform.ts';
import { mapped, show } from '../../src/format/values.ts';
import { namedColor, rgba } from '../../src/format/colors.ts';
import type { Target } from '../../src/model/dashboard.ts';
import { align, finite, stack } from '../../src/widgets/stack.ts';

const target = (more: Partial<Target> = {}): Target => ({ refId: 'A', kind: 'promql', expr: 'x', instant: false, format: 'time_series', factor: 1, ...more });
const column = (name: string, values: Field['values'], type: Field['type'] = 'string'): Field => ({ name, type, values, config: {} });
const table = (...fields: Field[]): Frame => ({ refId: 'A', shape: 'table', fields, length: fields[0].values.length });
const rows = (frame: Frame): unknown[][] => Array.from({ length: frame.fields[0].values.length }, (_, at) => frame.fields.map(field => field.values[at] ?? null));
const names = (frame: Frame): string[] => frame.fields.map(field => displayName(field, frame));

test('answers become series with their legends', () => {
  const answer = { status: 'success' as const, times: [1, 2], series: [{ labels: { __name__: 'x', job: 'a', host: 'h' }, values: [1, '+Inf'] }, { labels: { __name__: 'x', job: 'b', host: 'h' }, values: [null, 'NaN'] }] };
  const frames = toFrames(answer, target(), '{{job}} of {{ host }}');
  assert.deepEqual(frames.map(frame => displayName(frame.fields[1], frame)), ['a of h', 'b of h']);
  assert.equal(frames[0].fields[1].values[1], Infinity);
  assert.ok(Number.isNaN(frames[1].fields[1].values[1]));
  assert.deepEqual(toFrames(answer, target(), undefined).map(frame => displayName(frame.fields[1], frame)), ['a', 'b']);
});

test('a table has a column for each label', () => {
  const answer: Answer = { status: 'success', times: [5], series: [{ labels: { job: 'a' }, values: [1] }, { labels: { job: 'b', pod: 'p' }, values: [2] }] };
  const [frame] = toFrames(answer, target({ format: 'table', instant: true }), undefined);
  assert.deepEqual(names(frame), ['Time', 'job', 'pod', 'Value #A']);
  assert.deepEqual(rows(frame), [[5, 'a', '', 1], [5, 'b', 'p', 2]]);
  assert.equal(toFrames(answer, target({ format: 'table' }), undefined, true)[0].fields[3].name, 'Value');
});

test('a native histogram is no number', () => {
  const held = { count: '2', sum: '3' };
  const answer: Answer = { status: 'success', times: [1, 2, 3], series: [{ labels: {}, values: [1, held, 'NaN'] }] };
  assert.deepEqual(toFrames(answer, target(), undefined)[0].fields[1].values, [1, null, Number.NaN]);
});

test('lines keep their nanoseconds', () => {
  const [line] = toLines({ status: 'success', lines: [{ time_ns: '1795318259764123456', labels: { a: 'b' }, line: 'x' }] });
  assert.deepEqual([line.timeNs, line.ms], ['1795318259764123456', 1_795_318_259_764]);
});

test('columns are reduced', () => {
  const values = [1, 4, null, 2, 7, null];
  const expected: Record<string, number | null> = { last: null, lastNotNull: 7, first: 1, min: 1, max: 7, sum: 14, mean: 3.5, count: 4, range: 6, diff: 6, delta: 10, median: 3, changeCount: 3, distinctCount: 5 };
  for (const [how, value] of Object.entries(expected)) assert.equal(reduce(values, how), value, how);
  assert.equal(reduce([], 'max'), null);
  assert.equal(reduce([3, 5], 'p50'), 4);
});

test('organize hides, orders and renames', () => {
  const [frame] = transform([table(column('a', [1]), column('b', [2]), column('c', [3]))], [{ id: 'organize', options: { excludeByName: { b: true }, indexByName: { c: 0, a: 1 }, renameByName: { c: 'Sea' } } }]);
  assert.deepEqual(names(frame), ['Sea', 'a']);
  assert.deepEqual(rows(frame), [[3, 1]]);
});

test('joinByField puts tables beside each other and numbers equal names', () => {
  const frames = [table(column('pod', ['p', 'q']), column('Time', [1, 1], 'time'), column('Value #A', [10, 20], 'number')), table(column('pod', ['q', 'r']), column('Time', [1, 1], 'time'), column('Value #B', [5, 6], 'number'))];
  const [outer] = transform(frames, [{ id: 'joinByField', options: { byField: 'pod', mode: 'outer' } }]);
  assert.deepEqual(names(outer), ['pod', 'Time 1', 'Value #A', 'Time 2', 'Value #B']);
  assert.deepEqual(rows(outer), [['p', 1, 10, null, null], ['q', 1, 20, 1, 5], ['r', null, null, 1, 6]]);
  const [inner] = transform(frames, [{ id: 'seriesToColumns', options: { byField: 'pod', mode: 'inner' } }]);
  assert.deepEqual(rows(inner).map(row => row[0]), ['q']);
});

test('merge puts rows that agree together', () => {
  const [frame] = transform([table(column('job', ['a', 'b']), column('Value #A', [1, 2], 'number')), table(column('job', ['b', 'c']), column('Value #B', [7, 8], 'number'))], [{ id: 'merge' }]);
  assert.deepEqual(rows(frame), [['a', 1, null], ['b', 2, 7], ['c', null, 8]]);
});

test('groupBy, sortBy, filter, reduce, calculate, rename, limit', () => {
  const source = table(column('job', ['a', 'b', 'a']), column('v', [1, 5, 3], 'number'));
  const run = (id: string, options: object): Frame => transform([source], [{ id, options }])[0];
  assert.deepEqual(rows(run('groupBy', { fields: { job: { operation: 'groupby' }, v: { operation: 'aggregate', aggregations: ['sum', 'count'] } } })), [['a', 4, 2], ['b', 5, 1]]);
  assert.deepEqual(rows(run('sortBy', { sort: [{ field: 'v', desc: true }] })).map(row => row[1]), [5, 3, 1]);
  assert.deepEqual(names(run('filterFieldsByName', { include: { pattern: '/^v$/' } })), ['v']);
  assert.deepEqual(rows(run('reduce', { reducers: ['max', 'mean'] })), [['v', 5, 3]]);
  assert.deepEqual(run('calculateField', { mode: 'binary', binary: { left: 'v', operator: '*', right: '2' }, alias: 'twice' }).fields[2].values, [2, 10, 6]);
  assert.deepEqual(names(run('renameByRegex', { regex: '(j)ob', renamePattern: '$1-x' })), ['j-x', 'v']);
  assert.equal(run('limit', { limitField: 2 }).length, 2);
  assert.deepEqual(rows(run('filterByValue', { type: 'include', filters: [{ fieldName: 'v', config: { id: 'greater', options: { value: 2 } } }] })).map(row => row[1]), [5, 3]);
});

test('a transformation that is not known is named and changes nothing', () => {
  const unknown: string[] = [];
  const frames = [table(column('a', [1]))];
  assert.equal(transform(frames, [{ id: 'heatmap' }], unknown), frames);
  assert.deepEqual(unknown, ['heatmap']);
});

test('patterns are read with slashes, flags and Go’s inline flags; a wrong one matches nothing', () => {
  assert.ok(pattern('/WRITTEN/i').test('bytes written'));
  assert.ok(pattern('/(?i)^err/').test('Error'));
  assert.ok(!pattern('((').test('(('));
});

test('overrides find their fields and set what they say', () => {
  const answer = { status: 'success' as const, times: [1], series: [{ labels: { d: 'in' }, values: [1] }, { labels: { d: 'out' }, values: [2] }] };
  const frames = configure(toFrames(answer, target({ refId: 'B' }), '{{d}}'), {
    defaults: { unit: 'short', custom: { lineWidth: 1 } },
    overrides: [
      { matcher: { id: 'byName', options: 'in' }, properties: [{ id: 'unit', value: 'bytes' }, { id: 'custom.stacking', value: { mode: 'normal' } }] },
      { matcher: { id: 'byRegexp', options: '/^ou/' }, properties: [{ id: 'custom.transform', value: 'negative-Y' }, { id: 'displayName', value: '${__field.labels.d} now' }] },
      { matcher: { id: 'byFrameRefID', options: 'B' }, properties: [{ id: 'decimals', value: 1 }] },
      { matcher: { id: 'byType', options: 'number' }, properties: [{ id: 'custom.__proto__.polluted', value: true }] },
    ],
  });
  const [first, second] = frames.map(frame => frame.fields[1]);
  assert.equal(first.config.unit, 'bytes');
  assert.deepEqual(first.config.custom, { lineWidth: 1, stacking: { mode: 'normal' } });
  assert.equal(second.config.custom.transform, 'negative-Y');
  assert.equal(displayName(second, frames[1]), 'out now');
  assert.deepEqual([first.config.decimals, second.config.decimals], [1, 1]);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
});

test('values are mapped and coloured', () => {
  const mappings = [
    { type: 'value', options: { 0: { text: 'down', color: 'red' } } }, { type: 'range', options: { from: 5, to: 9, result: { text: 'some' } } },
    { type: 'special', options: { match: 'null', result: { text: 'N/A' } } }, { type: 'regex', options: { pattern: '/^v(.*)$/', result: { text: 'version $1' } } },
  ];
  assert.equal(mapped(0, mappings)?.text, 'down');
  assert.equal(mapped(7, mappings)?.text, 'some');
  assert.equal(mapped(null, mappings)?.text, 'N/A');
  assert.equal(mapped('v2', mappings)?.text, 'version 2');
  assert.equal(mapped(1, mappings), undefined);
  const config = { thresholds: { mode: 'absolute', steps: [{ color: 'green', value: null }, { color: 'red', value: 80 }] }, unit: 'percent' };
  assert.equal(show(79, config, 'dark').color, namedColor('green'));
  assert.equal(show(80, config, 'dark').color, namedColor('red'));
  const share = { ...config, min: 0, max: 10, thresholds: { ...config.thresholds, mode: 'percentage' } };
  assert.equal(show(8, share, 'dark').color, namedColor('red'));
  assert.equal(namedColor('url(javascript:1)'), '');
  assert.deepEqual(rgba('#0f0'), [0, 255, 0, 1]);
});

test('columns share one axis, gaps and all', () => {
  const shared = [1, 2, 3];
  assert.equal(align([shared, [1, 2, 3]], [[1, 2, 3], [4, 5, 6]]).times, shared);
  assert.deepEqual(align([[1, 3], [2, 3]], [[1, 3], [20, 30]]), { times: [1, 2, 3], columns: [[1, undefined, 3], [undefined, 20, 30]] });
  assert.deepEqual(finite([1, Number.NaN, Infinity]), [1, null, null]);
  assert.deepEqual(stack([[1, 2], [10, 20], [5, 5]], ['A', 'A', undefined], false), [[1, 2], [11, 22], [5, 5]]);
  assert.deepEqual(stack([[1, 1], [3, 1]], ['A', 'A'], true), [[0.25, 0.5], [1, 1]]);
});
