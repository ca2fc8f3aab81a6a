import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ansiPieces } from '../../src/format/ansi.ts';
import { safeHref } from '../../src/format/links.ts';
import { rank, wantedAt } from '../../src/model/complete.ts';
import { addMatcher, nearSelector, streamPart, withSearch } from '../../src/model/selector.ts';
import { matchesAll, matcherText } from '../../src/pages/alertdata.ts';

test('only http, https and this site are linked', () => {
  for (const good of ['https://example.com/a?b=c', 'http://x', '/d/abc?var-x=1', '?a=b', '#x', 'dashboards/x']) assert.equal(safeHref(good), good);
  for (const bad of ['javascript:alert(1)', ' javascript:alert(1)', 'java\nscript:alert(1)', 'JAVASCRIPT:x', 'data:text/html,x', 'vbscript:x', '//evil.example', '/\\evil.example', '\\\\evil', 'file:///etc/passwd', '', null, 5]) assert.equal(safeHref(bad), '', String(bad));
});

test('terminal colours become classes', () => {
  assert.deepEqual(ansiPieces('plain'), [{ text: 'plain', classes: '' }]);
  assert.deepEqual(ansiPieces('\u001b[1;31mbad\u001b[0m ok\u001b[2K!'), [{ text: 'bad', classes: 'ansi-red ansi-bold' }, { text: ' ok', classes: '' }, { text: '!', classes: '' }]);
});

test('completion knows where the caret is', () => {
  const at = (text: string, logs = false) => { const { kind, prefix, ...rest } = wantedAt(text, text.length, logs) ?? { kind: 'none', prefix: '' }; return [kind, prefix, 'label' in rest ? rest.label : 'metric' in rest ? rest.metric : undefined]; };
  assert.deepEqual(at('sum(rat'), ['word', 'rat', undefined]);
  assert.deepEqual(at('up{jo'), ['label', 'jo', 'up']);
  assert.deepEqual(at('up{job="a", inst'), ['label', 'inst', 'up']);
  assert.deepEqual(at('up{job="no'), ['value', 'no', 'job']);
  assert.deepEqual(at('sum by (jo'), ['label', 'jo', '']);
  assert.deepEqual(at('rate(x[5'), ['duration', '5', undefined]);
  assert.deepEqual(at('{app="x"} |', true), ['stage', '|', undefined]);
  assert.deepEqual(at('{app="', true), ['value', '', 'app']);
  assert.deepEqual(at('x > 10'), ['none', '', undefined]);
  assert.deepEqual(rank(['node_load1', 'up', 'my_node'], 'node'), ['node_load1', 'my_node']);
});

test('LogQL is changed on its text', () => {
  assert.equal(addMatcher('{job="a"} |= "x"', 'level', 'error', true), '{job="a", level="error"} |= "x"');
  assert.equal(addMatcher('{job="a, }b"}', 'job', 'c', true), '{job="c"}');
  assert.equal(addMatcher('{service=~".+"}', 'service', 'api', true), '{service="api"}');
  assert.equal(addMatcher('{job="a"}', 'path', 'C:\\"x"', false), String.raw`{job="a", path!="C:\\\"x\""}`);
  assert.equal(withSearch('{a="b"}', 'a.b'), String.raw`{a="b"} |~ "(?i)a\\.b"`);
  assert.equal(streamPart(' {a="}"} | json'), '{a="}"} | json');
  assert.equal(streamPart('rate({a="b"}[1m])'), '');
});

test('an alert finds the logs that carry its labels', async () => {
  const known: Record<string, string[]> = { service: ['api', 'redis'], host: ['web-1'], job: ['varlogs'] };
  const values = (name: string): Promise<string[]> => Promise.resolve(known[name] ?? []);
  assert.equal(await nearSelector({ job: 'redis', instance: 'web-1:9121', alertname: 'RedisDown' }, Object.keys(known), values), '{service="redis", host="web-1"}');
  assert.equal(await nearSelector({ job: 'nobody' }, Object.keys(known), values), '');
});

test('silences match as Alertmanager’s do', () => {
  const matcher = (text: string, isRegex = false, isEqual = true) => ({ name: 'job', value: text, isRegex, isEqual });
  assert.equal(matchesAll([matcher('a|b', true)], { job: 'b' }), true);
  assert.equal(matchesAll([matcher('a', true)], { job: 'ab' }), false);
  assert.equal(matchesAll([matcher('a', false, false)], {}), true);
  assert.equal(matchesAll([matcher('((', true)], {}), undefined);
  assert.equal(matcherText(matcher('a.*', true, false)), 'job!~"a.*"');
});
