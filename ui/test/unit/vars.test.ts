import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importDashboard, type Variable } from '../../src/model/dashboard.ts';
import { interpolate, references, type Value } from '../../src/model/interpolate.ts';
import { ALL, choose, dependsOn, fromParams, inOrder, ownOptions, parseLookup, scopeOf, shapeOptions, toParams, valueOf, type Chosen } from '../../src/model/vars.ts';

const scope = (values: Record<string, Value | string>) => (name: string): Value | string | undefined => values[name];
const variable = (json: object): Variable => importDashboard({ title: 'x', panels: [], templating: { list: [json] } }).variables[0];
const chosen = (json: object, values: string[], options: string[] = values): Chosen => ({ variable: variable(json), values, options: options.map(value => ({ text: value, value })) });

test('every way of writing a reference is found', () => {
  assert.equal(interpolate('$a ${a} [[a]] ${a:csv} [[a:pipe]]', scope({ a: { values: ['x', 'y'] } }), 'text'), '{x,y} {x,y} {x,y} x,y x|y');
  assert.deepEqual(references('rate(x{job="$job"}[$__rate_interval]) ${b.c:raw} [[d]]'), ['job', '__rate_interval', 'b', 'd']);
});

test('names that are not known stay as they stand', () => {
  assert.equal(interpolate('cost $5 $nobody ${nobody:csv}', scope({})), 'cost $5 $nobody ${nobody:csv}');
});

test('several values become a regular expression in a query, with what is special escaped', () => {
  const many = { values: ['a.b', 'c'], many: true };
  assert.equal(interpolate('{x=~"$v"}', scope({ v: many }), 'promql'), String.raw`{x=~"(a\\.b|c)"}`);
  assert.equal(interpolate('{x=~"$v"}', scope({ v: { values: ['a.b'], many: true } }), 'promql'), String.raw`{x=~"a\\.b"}`);
  assert.equal(interpolate('{x="$v"}', scope({ v: { values: ['a"b\\c'] } }), 'promql'), String.raw`{x="a\"b\\c"}`);
  assert.equal(interpolate('$v', scope({ v: { values: ['rate(x{a="b"}[5m])'], typed: true } }), 'promql'), 'rate(x{a="b"}[5m])');
});

test('formats are Grafana’s', () => {
  const values: Record<string, [string, string]> = {
    raw: ['{a.b,c}', 'a.b'], csv: ['a.b,c', 'a.b'], pipe: ['a.b|c', 'a.b'], regex: [String.raw`(a\.b|c)`, String.raw`a\.b`], json: ['["a.b","c"]', '"a.b"'],
    singlequote: ["'a.b','c'", "'a.b'"], doublequote: ['"a.b","c"', '"a.b"'], queryparam: ['var-v=a.b&var-v=c', 'var-v=a.b'], text: ['a.b + c', 'a.b'],
    percentencode: ['%7Ba.b%2Cc%7D', 'a.b'], sqlstring: ["'a.b','c'", "'a.b'"],
  };
  for (const [format, [many, one]] of Object.entries(values)) {
    assert.equal(interpolate(`\${v:${format}}`, scope({ v: { values: ['a.b', 'c'], many: true } })), many, format);
    assert.equal(interpolate(`\${v:${format}}`, scope({ v: { values: ['a.b'] } })), one, format);
  }
});

test('All is every option, or what the dashboard says', () => {
  assert.deepEqual(valueOf(chosen({ name: 'v', type: 'query', includeAll: true }, [ALL], ['a', 'b'])).values, ['a', 'b']);
  assert.equal(interpolate('{x=~"$v"}', scopeOf(new Map([['v', chosen({ name: 'v', type: 'query', includeAll: true, allValue: '.*' }, [ALL], ['a'])]])), 'promql'), '{x=~".*"}');
});

test('queries of variables are read in all their forms', () => {
  assert.deepEqual(parseLookup('label_values(up{job=~"a,b"}, instance)', 'promql'), { kind: 'values', source: 'promql', label: 'instance', match: 'up{job=~"a,b"}' });
  assert.deepEqual(parseLookup('label_values(job)', 'promql'), { kind: 'values', source: 'promql', label: 'job' });
  assert.deepEqual(parseLookup({ query: 'label_values(up, job)', refId: 'x' }, 'promql'), { kind: 'values', source: 'promql', label: 'job', match: 'up' });
  assert.deepEqual(parseLookup('query_result(topk(5, sum(x) by (a)))', 'promql'), { kind: 'result', expr: 'topk(5, sum(x) by (a))' });
  assert.deepEqual(parseLookup('label_names()', 'promql'), { kind: 'names', source: 'promql', match: undefined });
  assert.deepEqual(parseLookup('metrics(node_.*)', 'promql'), { kind: 'metrics', pattern: 'node_.*' });
  assert.deepEqual(parseLookup({ label: 'app', stream: '{job="x"}', type: 1 }, 'logql'), { kind: 'values', source: 'logql', label: 'app', match: '{job="x"}' });
  assert.deepEqual(parseLookup('up{job="x"}', 'promql'), { kind: 'series', match: 'up{job="x"}' });
  assert.equal(parseLookup('', 'promql'), undefined);
});

test('options are filtered, cut and sorted', () => {
  const shape = (values: string[], regex: string, sort = 0): string[] => shapeOptions(values, { regex, sort }).map(option => option.value);
  assert.deepEqual(shape(['web-1', 'db-1', 'web-2'], '/web-.*/'), ['web-1', 'web-2']);
  assert.deepEqual(shape(['a{host="x"} 1 2', 'a{host="y"} 1 2'], '/.*host="([^"]*).*/'), ['x', 'y']);
  assert.deepEqual(shapeOptions(['1-one'], { regex: '/(?<value>\\d)-(?<text>\\w+)/', sort: 0 }), [{ text: 'one', value: '1' }]);
  assert.deepEqual(shape(['b', 'a', 'b'], '', 1), ['a', 'b']);
  assert.deepEqual(shape(['n10', 'n9'], '', 3), ['n9', 'n10']);
  assert.deepEqual(shape(['n9', 'n10'], '', 4), ['n10', 'n9']);
  assert.deepEqual(shape(['x'], '/((/'), ['x']);
});

test('what needs no server has options of its own', () => {
  assert.deepEqual(ownOptions(variable({ name: 'i', type: 'interval', query: '1m,5m', auto: true })).map(option => option.text), ['auto', '1m', '5m']);
  assert.deepEqual(ownOptions(variable({ name: 'c', type: 'custom', query: 'A : 1, b\\,c , d' })), [{ text: 'A', value: '1' }, { text: 'b,c', value: 'b,c' }, { text: 'd', value: 'd' }]);
});

test('the choice is the address’s, then the saved one, then All or the first', () => {
  const options = ['a', 'b'].map(value => ({ text: value, value }));
  const query = variable({ name: 'v', type: 'query', current: { value: 'b' } });
  assert.deepEqual(choose(query, options, ['a']), ['a']);
  assert.deepEqual(choose(query, options, undefined), ['b']);
  assert.deepEqual(choose(query, options, ['gone']), ['b']);
  assert.deepEqual(choose(variable({ name: 'v', type: 'query', includeAll: true }), options, undefined), [ALL]);
  assert.deepEqual(choose(variable({ name: 'v', type: 'query' }), options, undefined), ['a']);
  assert.deepEqual(choose(variable({ name: 'v', type: 'textbox', query: 'dflt' }), [], ['typed']), ['typed']);
});

test('variables that depend on others come after them, and circles end', () => {
  const list = (queries: Record<string, string>): Variable[] => importDashboard({ title: 'x', panels: [], templating: { list: Object.entries(queries).map(([name, query]) => ({ name, type: 'query', query })) } }).variables;
  assert.deepEqual(inOrder(list({ c: 'label_values(x{b="$b"}, c)', b: 'label_values(x{a="$a"}, b)', a: 'label_values(a)' })).map(each => each.name), ['a', 'b', 'c']);
  assert.equal(inOrder(list({ a: '$b', b: '$a' })).length, 2);
  assert.deepEqual(dependsOn(list({ c: 'x{b="$b", r="$__range"}' })[0]), ['b']);
});

test('choices go into the address and come back', () => {
  const state = new Map([['v', chosen({ name: 'v', type: 'query', multi: true }, ['a', 'b c'])], ['k', chosen({ name: 'k', type: 'constant', query: '1' }, ['1'])]]);
  const params = new URLSearchParams(toParams(state));
  assert.equal(params.toString(), 'var-v=a&var-v=b+c');
  assert.deepEqual(fromParams(params, 'v'), ['a', 'b c']);
  assert.equal(fromParams(params, 'other'), undefined);
});
