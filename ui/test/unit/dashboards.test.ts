import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { datasourceKind, importDashboard, type Dashboard } from '../../src/model/dashboard.ts';
import { compact } from '../../src/model/layout.ts';
import { expand } from '../../src/model/repeat.ts';
import { inOrder } from '../../src/model/vars.ts';

const SHARED = '../../shared/dashboards'; // tests run in ui/
const BUILTIN = '../src/watchkeeper/show/builtin';
const DRAWN = new Set(['timeseries', 'stat', 'gauge', 'bargauge', 'table', 'text', 'logs', 'piechart']);

const read = (folder: string): [string, Dashboard][] =>
  readdirSync(folder).filter(name => name.endsWith('.json')).map(name => [name, importDashboard(JSON.parse(readFileSync(join(folder, name), 'utf8')))]);
const panels = (dashboard: Dashboard) => dashboard.sections.flatMap(section => section.panels);

test('real dashboards are read whole, every panel of a kind that is drawn', { skip: !existsSync(SHARED) && 'shared/dashboards is not beside this clone' }, () => {
  const counts: Record<string, number> = {};
  for (const [name, dashboard] of read(SHARED)) {
    assert.ok(dashboard.title && panels(dashboard).length, name);
    for (const panel of panels(dashboard)) {
      assert.ok(DRAWN.has(panel.type), `${name}: ${panel.type}`);
      assert.ok(panel.gridPos.x + panel.gridPos.w <= 24, `${name}: ${panel.title}`);
    }
    assert.equal(inOrder(dashboard.variables).length, dashboard.variables.length);
    counts[name.slice(0, 2)] = panels(dashboard).length;
  }
  assert.equal(counts['01'], 125);
  assert.equal(counts.x1, 30);
});

test('the built-in dashboards ask nothing that cannot be asked', () => {
  const found = read(BUILTIN);
  assert.deepEqual(found.map(([, dashboard]) => dashboard.uid).sort(), ['wk-host', 'wk-logs', 'wk-self', 'wk-services', 'wk-slo']);
  for (const [name, dashboard] of found) for (const panel of panels(dashboard)) assert.ok(panel.targets.every(target => !target.unable), `${name}: ${panel.title}`);
});

test('rows own the panels that follow them, folded ones those inside', () => {
  const { sections } = importDashboard({
    title: 't',
    panels: [
      { id: 1, type: 'stat', gridPos: { x: 0, y: 0, w: 4, h: 4 } }, { id: 2, type: 'row', title: 'R', gridPos: { x: 0, y: 4, w: 24, h: 1 } },
      { id: 4, type: 'stat', gridPos: { x: 6, y: 5, w: 4, h: 4 } }, { id: 3, type: 'stat', gridPos: { x: 0, y: 5, w: 4, h: 4 } },
      { id: 5, type: 'row', title: 'C', collapsed: true, gridPos: { x: 0, y: 9, w: 24, h: 1 }, panels: [{ id: 6, type: 'text' }] },
    ],
  });
  assert.deepEqual(sections.map(section => [section.title, section.collapsed, section.panels.map(panel => panel.id)]), [['', false, [1]], ['R', false, [3, 4]], ['C', true, [6]]]);
});

test('rows[] of before 2017 are laid out in spans', () => {
  const { sections } = importDashboard({ title: 't', rows: [{ title: 'A', height: '250px', panels: [{ span: 8, type: 'graph' }, { span: 4, type: 'singlestat' }, { span: 12, type: 'graph' }] }] });
  assert.deepEqual(sections[0].panels.map(panel => [panel.type, panel.gridPos]), [['timeseries', { x: 0, y: 0, w: 16, h: 7 }], ['stat', { x: 16, y: 0, w: 8, h: 7 }], ['timeseries', { x: 0, y: 7, w: 24, h: 7 }]]);
});

test('old panels become the new ones', () => {
  const [graph, single] = panels(importDashboard({
    title: 't',
    panels: [
      { type: 'graph', fill: 2, stack: true, bars: true, lines: false, yaxes: [{ format: 'bytes', min: '0' }], legend: { show: true, current: true, rightSide: true }, seriesOverrides: [{ alias: '/out/', transform: 'negative-Y' }], aliasColors: { a: '#ff0000' } },
      { type: 'singlestat', format: 'percent', thresholds: '65,90', colors: ['green', 'orange', 'red'], colorValue: true, valueName: 'current', gauge: { show: true, minValue: 0, maxValue: 50 }, valueMaps: [{ value: 'null', text: 'N/A' }] },
    ],
  }));
  assert.equal(graph.fieldConfig.defaults.custom.drawStyle, 'bars');
  assert.equal(graph.fieldConfig.defaults.min, 0);
  assert.deepEqual(graph.options.legend, { showLegend: true, displayMode: 'table', placement: 'right', calcs: ['lastNotNull'] });
  assert.deepEqual(graph.fieldConfig.overrides.map(each => each.matcher.id), ['byRegexp', 'byName']);
  assert.equal(single.type, 'gauge');
  assert.deepEqual(single.fieldConfig.defaults.thresholds.steps.map((step: { value: number | null }) => step.value), [null, 65, 90]);
  assert.equal(single.options.reduceOptions.calcs[0], 'lastNotNull');
});

test('targets get letters, hidden ones are left out, strange data sources are named', () => {
  const [panel] = panels(importDashboard({ title: 't', panels: [{ type: 'table', datasource: { type: 'influxdb' }, targets: [{ expr: 'a' }, { refId: 'A', expr: 'b', datasource: { type: 'prometheus' } }, { expr: 'c', hide: true }, { expr: 'd', datasource: { type: 'loki' }, instant: true }] }] }));
  assert.deepEqual(panel.targets.map(target => [target.refId, target.kind, Boolean(target.unable), target.instant]), [['B', 'promql', true, false], ['A', 'promql', false, false], ['C', 'logql', false, true]]);
});

test('data sources are known through variables and inputs', () => {
  const json = { __inputs: [{ name: 'DS_X', pluginId: 'prometheus' }, { name: 'DS_L', pluginId: 'loki' }], templating: { list: [{ name: 'ds', type: 'datasource', query: 'loki' }] } };
  assert.equal(datasourceKind('${DS_X}', json), 'promql');
  assert.equal(datasourceKind({ uid: '${DS_L}' }, json), 'logql');
  assert.equal(datasourceKind({ type: 'loki', uid: '$ds' }, json), 'logql');
  assert.equal(datasourceKind('$ds', json), 'logql');
  assert.equal(datasourceKind(null, json), 'promql');
  assert.equal(datasourceKind({ type: 'mysql' }, json), 'mysql');
});

test('the v2 form and the v1 form are read', () => {
  const v2 = importDashboard({
    apiVersion: 'dashboard.grafana.app/v2', kind: 'Dashboard', metadata: { name: 'uid-2' },
    spec: {
      title: 'Two', timeSettings: { from: 'now-3h', to: 'now', autoRefresh: '30s' }, cursorSync: 'Crosshair',
      elements: { p: { kind: 'Panel', spec: { id: 7, title: 'P', vizConfig: { kind: 'VizConfig', group: 'timeseries', spec: { options: {}, fieldConfig: { defaults: { unit: 's' }, overrides: [] } } }, data: { spec: { queries: [{ spec: { refId: 'A', hidden: false, query: { kind: 'DataQuery', group: 'prometheus', spec: { expr: 'up' } } } }], transformations: [] } } } } },
      layout: { kind: 'RowsLayout', spec: { rows: [{ kind: 'RowsLayoutRow', spec: { title: 'R', collapse: false, layout: { kind: 'GridLayout', spec: { items: [{ kind: 'GridLayoutItem', spec: { x: 12, y: 0, width: 12, height: 6, element: { name: 'p' } } }] } } } }] } },
      variables: [{ kind: 'QueryVariable', spec: { name: 'job', query: { kind: 'DataQuery', group: 'prometheus', spec: { query: 'label_values(up, job)' } }, refresh: 'onTimeRangeChanged' } }],
    },
  });
  assert.deepEqual([v2.uid, v2.title, v2.refresh, v2.crosshair], ['uid-2', 'Two', '30s', true]);
  assert.equal(v2.sections[0].title, 'R');
  assert.deepEqual(v2.sections[0].panels.map(panel => [panel.id, panel.type, panel.targets[0].expr, panel.gridPos.x, panel.fieldConfig.defaults.unit]), [[7, 'timeseries', 'up', 12, 's']]);
  assert.deepEqual([v2.variables[0].query, v2.variables[0].refresh], ['label_values(up, job)', 2]);
  const v1 = importDashboard({ apiVersion: 'dashboard.grafana.app/v1', metadata: { name: 'one' }, spec: { title: 'One', panels: [{ type: 'stat' }] } });
  assert.deepEqual([v1.uid, panels(v1).length], ['one', 1]);
});

test('what is no dashboard is said', () => {
  assert.throws(() => importDashboard(null), /want one/);
  assert.throws(() => importDashboard({ title: 'package' }), /no panels/);
});

test('panels and rows repeat for each value', () => {
  const dashboard = importDashboard({
    title: 't', templating: { list: [{ name: 'v', type: 'custom', query: 'a,b,c', multi: true }] },
    panels: [{ id: 1, type: 'stat', repeat: 'v', maxPerRow: 2, gridPos: { x: 0, y: 0, w: 24, h: 4 } }, { id: 2, type: 'stat', gridPos: { x: 0, y: 4, w: 24, h: 4 } }, { id: 3, type: 'row', title: '$v', repeat: 'v', gridPos: { x: 0, y: 8, w: 24, h: 1 } }, { id: 4, type: 'stat', gridPos: { x: 0, y: 9, w: 4, h: 4 } }],
  });
  const state = new Map([['v', { variable: dashboard.variables[0], values: ['a', 'b', 'c'], options: [] }]]);
  const sections = expand(dashboard, state);
  assert.deepEqual(sections[0].panels.map(panel => [panel.scoped?.v, panel.gridPos.x, panel.gridPos.y]), [['a', 0, 0], ['b', 12, 0], ['c', 0, 4], [undefined, 0, 8]]);
  assert.deepEqual(sections.slice(1).map(section => [section.scoped?.v, section.panels[0].scoped?.v]), [['a', 'a'], ['b', 'b'], ['c', 'c']]);
});

test('panels move up into the holes that a file has', () => {
  const at = (x: number, y: number, w: number, h: number) => ({ gridPos: { x, y, w, h } });
  assert.deepEqual(compact([at(0, 21, 12, 8), at(12, 21, 12, 4), at(0, 433, 12, 8), at(12, 433, 14, 8)]).map(({ x, y, w }) => [x, y, w]), [[0, 0, 12], [12, 0, 12], [0, 8, 12], [12, 4, 12]]);
});
