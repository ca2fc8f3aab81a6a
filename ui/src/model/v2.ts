/** The v2 resource (elements and a layout), rewritten as the classic form that the rest of the program reads. */

import type { Json } from './dashboard.ts';

const list = (value: Json): Json[] => (Array.isArray(value) ? value : []);

function panelOf(element: Json, gridPos: Json): Json {
  const spec = element?.spec ?? {};
  const viz = spec.vizConfig ?? {};
  const vizSpec = viz.spec ?? {};
  const group = spec.data?.spec ?? {};
  return {
    id: spec.id, title: spec.title, description: spec.description, transparent: spec.transparent, links: spec.links,
    type: viz.group ?? viz.kind ?? 'unknown', options: vizSpec.options, fieldConfig: vizSpec.fieldConfig, gridPos,
    targets: list(group.queries).map(each => {
      const query = each?.spec?.query ?? {};
      return {
        refId: each?.spec?.refId, hide: each?.spec?.hidden, ...query.spec,
        datasource: { type: query.group ?? query.kind, ...each?.spec?.datasource, ...query.datasource },
      };
    }),
    transformations: list(group.transformations).map(each => ({ id: each?.group ?? each?.kind, ...each?.spec })),
    interval: group.queryOptions?.interval, maxDataPoints: group.queryOptions?.maxDataPoints,
    timeFrom: group.queryOptions?.timeFrom, timeShift: group.queryOptions?.timeShift,
  };
}

function layoutPanels(layout: Json, elements: Json, top: number): { panels: Json[]; bottom: number } {
  const panels: Json[] = [];
  let bottom = top;
  const items = list(layout?.spec?.items);
  for (const [at, item] of items.entries()) {
    const spec = item?.spec ?? {};
    const element = elements[spec.element?.name];
    if (!element) continue;
    const automatic = layout.kind === 'AutoGridLayout';
    const gridPos = automatic
      ? { x: (at % 3) * 8, y: top + Math.floor(at / 3) * 8, w: 8, h: 8 }
      : { x: spec.x ?? 0, y: top + (spec.y ?? 0), w: spec.width ?? 12, h: spec.height ?? 8 };
    panels.push({ ...panelOf(element, gridPos), repeat: spec.repeat?.value, repeatDirection: spec.repeat?.direction, maxPerRow: spec.repeat?.maxPerRow });
    bottom = Math.max(bottom, gridPos.y + gridPos.h);
  }
  return { panels, bottom };
}

function walk(layout: Json, elements: Json, top: number): { panels: Json[]; bottom: number } {
  const kind = layout?.kind;
  if (kind !== 'RowsLayout' && kind !== 'TabsLayout') return layoutPanels(layout, elements, top);
  const panels: Json[] = [];
  let y = top;
  for (const [at, item] of list(layout.spec?.rows ?? layout.spec?.tabs).entries()) {
    const spec = item?.spec ?? {};
    const inner = walk(spec.layout, elements, y + 1);
    const collapsed = spec.collapse === true;
    panels.push({
      id: -1000 - y - at, type: 'row', title: spec.title ?? '', collapsed, repeat: spec.repeat?.value,
      gridPos: { x: 0, y, w: 24, h: 1 }, panels: collapsed ? inner.panels.filter(each => each.type !== 'row') : [],
    });
    if (!collapsed) panels.push(...inner.panels);
    y = Math.max(inner.bottom, y + 1);
  }
  return { panels, bottom: y };
}

/** Rewrites a v2 spec. */
export function fromV2(spec: Json): Json {
  const time = spec.timeSettings ?? {};
  const kinds: Record<string, string> = {
    QueryVariable: 'query', DatasourceVariable: 'datasource', IntervalVariable: 'interval', CustomVariable: 'custom',
    ConstantVariable: 'constant', TextVariable: 'textbox', AdhocVariable: 'adhoc', GroupByVariable: 'groupby',
  };
  const hides: Record<string, number> = { dontHide: 0, hideLabel: 1, hideVariable: 2 };
  const refreshes: Record<string, number> = { never: 0, onDashboardLoad: 1, onTimeRangeChanged: 2 };
  const variables = list(spec.variables).map(each => {
    const inner = each?.spec ?? {};
    const query = inner.query?.spec ? (inner.query.spec.query ?? inner.query.spec) : inner.query;
    return {
      ...inner, type: kinds[each?.kind] ?? 'custom', query: each?.kind === 'DatasourceVariable' ? inner.pluginId : query,
      datasource: inner.datasource ?? { type: inner.query?.group ?? inner.query?.kind },
      hide: hides[inner.hide] ?? 0, refresh: refreshes[inner.refresh] ?? inner.refresh, sort: 1,
    };
  });
  return {
    uid: spec.uid, title: spec.title, description: spec.description, tags: spec.tags, links: spec.links,
    time: { from: time.from, to: time.to }, refresh: time.autoRefresh, timezone: time.timezone,
    graphTooltip: spec.cursorSync && spec.cursorSync !== 'Off' ? 1 : 0,
    templating: { list: variables }, panels: walk(spec.layout, spec.elements, 0).panels,
  };
}
