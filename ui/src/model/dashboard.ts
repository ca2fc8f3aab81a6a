/** Grafana's dashboard JSON in its several ages, read into one model. Nothing is thrown away: `source` is the JSON as it came. */

import { fromGraph, fromSinglestat, fromTableOld } from './legacy.ts';
import { fromV2 } from './v2.ts';

export type Json = any;

export interface GridPos { x: number; y: number; w: number; h: number }

export interface Target {
  refId: string;
  kind: 'promql' | 'logql';
  expr: string;
  legendFormat?: string;
  instant: boolean;
  format: 'time_series' | 'table' | 'heatmap' | 'logs';
  interval?: string;
  factor: number;
  limit?: number;
  /** Why this target cannot be asked: another kind of data source. */
  unable?: string;
}

export interface FieldOverride { matcher: { id: string; options?: Json }; properties: { id: string; value?: Json }[] }

export interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: GridPos;
  targets: Target[];
  options: Json;
  fieldConfig: { defaults: Json; overrides: FieldOverride[] };
  transformations: { id: string; options: Json; disabled?: boolean }[];
  interval?: string;
  maxDataPoints?: number;
  timeFrom?: string;
  timeShift?: string;
  repeat?: string;
  repeatDirection?: string;
  maxPerRow?: number;
  transparent: boolean;
  links: Json[];
  /** Values of variables that a repeat fixed. */
  scoped?: Record<string, string>;
  source: Json;
}

export interface Section {
  id: number;
  title: string;
  /** False for the panels above the first row, which have no header. */
  headed: boolean;
  collapsed: boolean;
  repeat?: string;
  panels: Panel[];
  scoped?: Record<string, string>;
}

export interface Variable {
  name: string;
  type: string;
  label: string;
  query: Json;
  datasource?: Json;
  regex: string;
  sort: number;
  refresh: number;
  multi: boolean;
  includeAll: boolean;
  allValue?: string;
  hide: number;
  auto: boolean;
  autoCount: number;
  autoMin?: string;
  options: { text: string; value: string }[];
  current?: { text?: Json; value?: Json };
  description?: string;
}

export interface Dashboard {
  uid: string;
  title: string;
  description: string;
  tags: string[];
  time: { from: string; to: string };
  refresh: string;
  timezone: string;
  crosshair: boolean;
  sections: Section[];
  variables: Variable[];
  links: Json[];
  source: Json;
}

const list = (value: Json): Json[] => (Array.isArray(value) ? value : []);
const text = (value: Json, otherwise = ''): string => (typeof value === 'string' ? value : otherwise);
const number = (value: Json, otherwise: number): number => (typeof value === 'number' && Number.isFinite(value) ? value : otherwise);

/**
 * Reads a dashboard in any of Grafana's forms: classic, `rows[]` of before 2017, v1 and v2 resources.
 *
 * raises  Error saying what it is not, when it is no dashboard at all
 */
export function importDashboard(source: Json): Dashboard {
  let json = source?.dashboard && !source.title ? source.dashboard : source;
  if (json?.spec && typeof json.apiVersion === 'string') json = { uid: json.metadata?.name, ...json.spec };
  if (!json || typeof json !== 'object' || Array.isArray(json)) throw new Error('cannot read the dashboard: got no JSON object, want one');
  if (json.elements && json.layout) json = fromV2(json);
  if (!Array.isArray(json.panels) && !Array.isArray(json.rows)) throw new Error('cannot read the dashboard: got no panels, want panels or rows');
  return {
    uid: text(json.uid),
    title: text(json.title, 'Untitled'),
    description: text(json.description),
    tags: list(json.tags).filter(tag => typeof tag === 'string'),
    time: { from: text(json.time?.from, 'now-6h'), to: text(json.time?.to, 'now') },
    refresh: text(json.refresh) === 'auto' ? '1m' : text(json.refresh),
    timezone: text(json.timezone, 'browser') || 'browser',
    crosshair: number(json.graphTooltip, json.sharedCrosshair ? 1 : 0) > 0,
    sections: list(json.panels).length || !json.rows ? sections(json, list(json.panels)) : sectionsOfRows(json),
    variables: list(json.templating?.list).map(variable),
    links: list(json.links),
    source,
  };
}

function sections(json: Json, panels: Json[]): Section[] {
  const found: Section[] = [{ id: 0, title: '', headed: false, collapsed: false, panels: [] }];
  const sorted = [...panels].sort((a, b) => number(a?.gridPos?.y, 0) - number(b?.gridPos?.y, 0) || number(a?.gridPos?.x, 0) - number(b?.gridPos?.x, 0));
  for (const panel of sorted) {
    if (!panel || typeof panel !== 'object') continue;
    if (panel.type !== 'row') {
      found[found.length - 1].panels.push(importPanel(panel, json));
      continue;
    }
    found.push({
      id: number(panel.id, -found.length), title: text(panel.title), headed: true, collapsed: panel.collapsed === true,
      repeat: text(panel.repeat) || undefined, panels: list(panel.panels).map(each => importPanel(each, json)),
    });
  }
  return found.filter(section => section.headed || section.panels.length);
}

function sectionsOfRows(json: Json): Section[] {
  let id = 10_000;
  return list(json.rows).map((row, at) => {
    const height = Math.max(2, Math.round(Number.parseInt(String(row.height ?? '250'), 10) / 38) || 7);
    let x = 0;
    let y = 0;
    const panels = list(row.panels).map(each => {
      const w = Math.min(24, Math.max(1, Math.round(number(each.span, 4) * 2)));
      const h = each.height ? Math.max(2, Math.round(Number.parseInt(String(each.height), 10) / 38)) : height;
      if (x + w > 24) { x = 0; y += height; }
      const gridPos = { x, y, w, h };
      x += w;
      return importPanel({ id: id++, ...each, gridPos }, json);
    });
    return {
      id: -1 - at, title: text(row.title), headed: row.showTitle === true || row.collapse === true || (text(row.title) !== '' && list(json.rows).length > 1),
      collapsed: row.collapse === true, repeat: text(row.repeat) || undefined, panels,
    };
  });
}

/** Reads one panel; old kinds become the ones that replaced them. */
export function importPanel(source: Json, json: Json = {}): Panel {
  const panel: Panel = {
    id: number(source.id, 0),
    type: text(source.type, 'unknown'),
    title: text(source.title),
    description: text(source.description) || undefined,
    gridPos: {
      x: number(source.gridPos?.x, 0), y: number(source.gridPos?.y, 0),
      w: Math.min(24, Math.max(1, number(source.gridPos?.w, 12))), h: Math.max(1, number(source.gridPos?.h, 8)),
    },
    targets: targets(source, json),
    options: source.options ?? {},
    fieldConfig: { defaults: source.fieldConfig?.defaults ?? {}, overrides: list(source.fieldConfig?.overrides) },
    transformations: list(source.transformations),
    interval: text(source.interval) || undefined,
    maxDataPoints: number(source.maxDataPoints, 0) || undefined,
    timeFrom: text(source.timeFrom) || undefined,
    timeShift: text(source.timeShift) || undefined,
    repeat: text(source.repeat) || undefined,
    repeatDirection: text(source.repeatDirection) || undefined,
    maxPerRow: number(source.maxPerRow, 0) || undefined,
    transparent: source.transparent === true,
    links: list(source.links),
    source,
  };
  if (panel.type === 'graph') return fromGraph(panel);
  if (panel.type === 'singlestat' || panel.type === 'grafana-singlestat-panel') return fromSinglestat(panel);
  if (panel.type === 'table-old' || (panel.type === 'table' && source.styles && !source.fieldConfig)) return fromTableOld(panel);
  return panel;
}

function targets(source: Json, json: Json): Target[] {
  const taken = new Set(list(source.targets).map(each => text(each?.refId)));
  let next = 0;
  return list(source.targets).flatMap(each => {
    if (!each || typeof each !== 'object' || each.hide === true) return [];
    let refId = text(each.refId);
    while (!refId) {
      const letter = String.fromCodePoint(65 + (next++ % 26));
      if (!taken.has(letter)) { refId = letter; taken.add(letter); }
    }
    const kind = datasourceKind(each.datasource ?? source.datasource, json);
    const expr = text(each.expr) || text(each.query);
    if (!expr.trim()) return [];
    const unable = kind === 'promql' || kind === 'logql' ? undefined : `data source “${kind}” is not one of ours`;
    const format = text(each.format, source.type === 'logs' ? 'logs' : 'time_series');
    return [{
      refId, expr, unable, kind: kind === 'logql' ? 'logql' as const : 'promql' as const,
      legendFormat: text(each.legendFormat) || undefined,
      instant: each.instant === true && each.range !== true || each.queryType === 'instant',
      format: (['table', 'heatmap', 'logs'].includes(format) ? format : 'time_series') as Target['format'],
      interval: text(each.interval) || undefined,
      factor: number(each.intervalFactor, 1),
      limit: number(each.maxLines, 0) || undefined,
    }];
  });
}

const OTHERS = /influx|elastic|opensearch|graphite|cloudwatch|mysql|postgres|mssql|clickhouse|tempo|jaeger|zipkin|pyroscope|parca|testdata|azure|stackdriver|bigquery|infinity|json|csv|sqlite/i;

/** Says in which language a data source is asked; anything else is given by its name. */
export function datasourceKind(datasource: Json, json: Json = {}): string {
  let name = typeof datasource === 'string' ? datasource : text(datasource?.type) || text(datasource?.uid);
  const variableName = /^\$\{?(\w+)\}?$/.exec(name)?.[1];
  if (variableName) {
    const input = list(json.__inputs).find(each => each?.name === variableName);
    const declared = list(json.templating?.list).find(each => each?.name === variableName);
    name = text(input?.pluginId) || text(declared?.query) || name;
  }
  if (/loki/i.test(name)) return 'logql';
  if (OTHERS.test(name)) return name;
  if (name === '__expr__') return 'expression';
  return 'promql';
}

function variable(source: Json): Variable {
  const plain = (value: Json): string => (Array.isArray(value) ? value.join(',') : String(value ?? ''));
  return {
    name: text(source.name),
    type: text(source.type, 'custom'),
    label: text(source.label) || text(source.name),
    query: source.query ?? source.definition ?? '',
    datasource: source.datasource,
    regex: text(source.regex),
    sort: number(source.sort, 0),
    refresh: typeof source.refresh === 'boolean' ? Number(source.refresh) : number(source.refresh, 1),
    multi: source.multi === true,
    includeAll: source.includeAll === true,
    allValue: text(source.allValue) || undefined,
    hide: number(source.hide, source.hideLabel ? 1 : 0),
    auto: source.auto === true,
    autoCount: number(source.auto_count, 30),
    autoMin: text(source.auto_min) || undefined,
    options: list(source.options).map(each => ({ text: plain(each?.text), value: plain(each?.value) })),
    current: source.current && typeof source.current === 'object' ? source.current : undefined,
    description: text(source.description) || undefined,
  };
}
