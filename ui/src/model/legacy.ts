/** Panels that Grafana gave up (graph, singlestat, the old table), as the ones that took their place. */

import type { Json, Panel } from './dashboard.ts';

const list = (value: Json): Json[] => (Array.isArray(value) ? value : []);

function legendCalcs(legend: Json): string[] {
  const names: Record<string, string> = { current: 'lastNotNull', avg: 'mean', min: 'min', max: 'max', total: 'sum' };
  return Object.entries(names).filter(([old]) => legend?.[old]).map(([, calc]) => calc);
}

function axisNumber(value: Json): number | undefined {
  const found = typeof value === 'string' ? Number.parseFloat(value) : value;
  return typeof found === 'number' && Number.isFinite(found) ? found : undefined;
}

/** graph → timeseries. */
export function fromGraph(panel: Panel): Panel {
  const old = panel.source;
  const axis = list(old.yaxes)[0] ?? {};
  const style = old.bars ? 'bars' : old.lines === false && old.points ? 'points' : 'line';
  const defaults: Json = {
    unit: axis.format ?? list(old.y_formats)[0],
    decimals: old.decimals ?? undefined,
    min: axisNumber(axis.min), max: axisNumber(axis.max),
    color: { mode: 'palette-classic' },
    custom: {
      drawStyle: style,
      lineWidth: old.linewidth ?? 1,
      fillOpacity: style === 'bars' ? 80 : Math.min(100, (old.fill ?? 0) * 10),
      lineInterpolation: old.steppedLine ? 'stepAfter' : 'linear',
      showPoints: old.points ? 'always' : 'never',
      spanNulls: old.nullPointMode === 'connected',
      stacking: { mode: old.stack ? (old.percentage ? 'percent' : 'normal') : 'none', group: 'A' },
      axisLabel: axis.label ?? undefined,
      scaleDistribution: axis.logBase && axis.logBase !== 1 ? { type: 'log', log: axis.logBase } : undefined,
    },
    ...panel.fieldConfig.defaults,
  };
  const overrides = list(old.seriesOverrides).map(each => {
    const right = each.yaxis === 2 ? list(old.yaxes)[1] : undefined;
    const properties = [
      each.color !== undefined && { id: 'color', value: { mode: 'fixed', fixedColor: each.color } },
      each.transform === 'negative-Y' && { id: 'custom.transform', value: 'negative-Y' },
      each.fill !== undefined && { id: 'custom.fillOpacity', value: each.fill * 10 },
      each.linewidth !== undefined && { id: 'custom.lineWidth', value: each.linewidth },
      each.stack !== undefined && { id: 'custom.stacking', value: { mode: each.stack ? 'normal' : 'none', group: String(each.stack) } },
      each.bars === true && { id: 'custom.drawStyle', value: 'bars' },
      each.dashes === true && { id: 'custom.lineStyle', value: { fill: 'dash', dash: [10, 10] } },
      right && { id: 'custom.axisPlacement', value: 'right' },
      right?.format && { id: 'unit', value: right.format },
    ].filter(Boolean) as { id: string; value?: Json }[];
    const alias = String(each.alias ?? '');
    const isPattern = alias.startsWith('/') && alias.lastIndexOf('/') > 0;
    return { matcher: { id: isPattern ? 'byRegexp' : 'byName', options: alias }, properties };
  });
  for (const [name, color] of Object.entries(old.aliasColors ?? {})) {
    overrides.push({ matcher: { id: 'byName', options: name }, properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: color } }] });
  }
  const legend = old.legend ?? {};
  return {
    ...panel,
    type: 'timeseries',
    fieldConfig: { defaults, overrides: [...overrides, ...panel.fieldConfig.overrides] },
    options: {
      legend: {
        showLegend: legend.show !== false, displayMode: legend.alignAsTable || legendCalcs(legend).length ? 'table' : 'list',
        placement: legend.rightSide ? 'right' : 'bottom', calcs: legendCalcs(legend),
      },
      tooltip: { mode: old.tooltip?.shared === false ? 'single' : 'multi', sort: ['none', 'asc', 'desc'][old.tooltip?.sort ?? 0] },
      ...panel.options,
    },
  };
}

const REDUCERS: Record<string, string> = {
  avg: 'mean', current: 'lastNotNull', total: 'sum', min: 'min', max: 'max', first: 'firstNotNull', delta: 'delta', diff: 'diff', range: 'range',
  last_time: 'lastNotNull', name: 'name',
};

/** singlestat → stat, or gauge where it drew one. */
export function fromSinglestat(panel: Panel): Panel {
  const old = panel.source;
  const colors = list(old.colors);
  const limits = String(old.thresholds ?? '').split(',').map(Number.parseFloat).filter(Number.isFinite);
  const steps = [{ color: colors[0] ?? 'green', value: null as number | null }, ...limits.map((value, at) => ({ color: colors[at + 1] ?? 'red', value: value as number | null }))];
  const mappings: Json[] = [];
  for (const map of list(old.valueMaps)) {
    mappings.push(map.value === 'null'
      ? { type: 'special', options: { match: 'null', result: { text: map.text } } }
      : { type: 'value', options: { [String(map.value)]: { text: map.text } } });
  }
  for (const map of old.mappingType === 2 ? list(old.rangeMaps) : []) {
    if (map.from !== 'null') mappings.push({ type: 'range', options: { from: Number(map.from), to: Number(map.to), result: { text: map.text } } });
  }
  const gauge = old.gauge?.show === true;
  return {
    ...panel,
    type: gauge ? 'gauge' : 'stat',
    fieldConfig: {
      defaults: {
        unit: old.format, decimals: old.decimals ?? undefined, mappings, color: { mode: 'thresholds' },
        thresholds: { mode: 'absolute', steps: old.colorValue || old.colorBackground || gauge ? steps : [{ color: 'text', value: null }] },
        min: gauge ? (old.gauge.minValue ?? 0) : undefined, max: gauge ? (old.gauge.maxValue ?? 100) : undefined,
        noValue: old.nullText ?? undefined, ...panel.fieldConfig.defaults,
      },
      overrides: panel.fieldConfig.overrides,
    },
    options: {
      reduceOptions: { calcs: [REDUCERS[old.valueName] ?? 'mean'], fields: '', values: false },
      colorMode: old.colorBackground ? 'background' : old.colorValue ? 'value' : 'none',
      graphMode: old.sparkline?.show ? 'area' : 'none', textMode: old.valueName === 'name' ? 'name' : 'value',
      prefix: old.prefix || undefined, postfix: old.postfix || undefined, ...panel.options,
    },
  };
}

/** The table of before Grafana 7 → table: column styles become overrides. */
export function fromTableOld(panel: Panel): Panel {
  const old = panel.source;
  const overrides = list(old.styles).filter(style => style?.pattern).map(style => {
    const pattern = String(style.pattern);
    const isPattern = pattern.startsWith('/') && pattern.length > 1;
    const colors = list(style.colors);
    const limits = list(style.thresholds).map(Number);
    const properties: { id: string; value?: Json }[] = [];
    if (style.type === 'hidden') properties.push({ id: 'custom.hidden', value: true });
    if (style.alias) properties.push({ id: 'displayName', value: style.alias });
    if (style.type === 'number' && style.unit) properties.push({ id: 'unit', value: style.unit });
    if (style.type === 'number' && style.decimals !== undefined) properties.push({ id: 'decimals', value: style.decimals });
    if (style.type === 'date') properties.push({ id: 'unit', value: 'dateTimeAsIso' });
    if (style.colorMode && limits.length) {
      properties.push(
        { id: 'thresholds', value: { mode: 'absolute', steps: colors.map((color, at) => ({ color, value: at ? (limits[at - 1] ?? null) : null })) } },
        { id: 'custom.cellOptions', value: { type: style.colorMode === 'value' ? 'color-text' : 'color-background' } },
      );
    }
    return { matcher: { id: isPattern ? 'byRegexp' : 'byName', options: pattern }, properties };
  });
  const transformations = [...panel.transformations];
  if (old.transform === 'timeseries_aggregations') transformations.push({ id: 'reduce', options: { reducers: list(old.columns).map(each => REDUCERS[each.value] ?? each.value) } });
  else if (old.transform === 'table' || panel.targets.length > 1) transformations.push({ id: 'merge', options: {} });
  return {
    ...panel,
    type: 'table',
    targets: panel.targets.map(target => (old.transform === 'table' ? { ...target, format: 'table' as const } : target)),
    transformations,
    fieldConfig: { defaults: panel.fieldConfig.defaults, overrides: [...overrides, ...panel.fieldConfig.overrides] },
  };
}
