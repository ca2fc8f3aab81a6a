/** Lines, bars and points over time, with a legend. */

import { useMemo, useState } from 'preact/hooks';
import { displayName, type Field, type Frame } from '../data/frame.ts';
import { reduce, REDUCER_NAMES } from '../data/reduce.ts';
import { namedColor, paletteColor } from '../format/colors.ts';
import { formatText } from '../format/units.ts';
import { mapped, thresholdColor, valueColor } from '../format/values.ts';
import type { Json } from '../model/dashboard.ts';
import { theme } from '../theme.ts';
import { Chart, type ChartSeries } from '../widgets/chart.tsx';
import type { PanelProps } from './view.ts';

const LEGEND_MAX = 100;

function toSeries(field: Field, times: number[], frame: Frame, index: number): ChartSeries {
  const { config } = field;
  const custom = config.custom ?? {};
  const mode = config.color?.mode ?? 'palette-classic';
  const last = mode === 'thresholds' || mode.startsWith('continuous') ? (reduce(field.values, 'lastNotNull') as number | null) : null;
  const color = (mode === 'fixed' && namedColor(config.color?.fixedColor)) ||
    (mode === 'thresholds' ? thresholdColor(last, config) : mode.startsWith('continuous') ? valueColor(last, config, theme.value, index) : '') ||
    paletteColor(index, theme.value);
  const negative = custom.transform === 'negative-Y';
  const values = field.values as (number | null)[];
  const stacking = custom.stacking?.mode;
  return {
    name: displayName(field, frame), times, color: color.startsWith('var(') ? paletteColor(index, theme.value) : color,
    values: negative ? values.map(value => (typeof value === 'number' ? -value : value)) : values,
    unit: config.unit, decimals: config.decimals,
    show: value => mapped(value, config.mappings)?.text ?? formatText(value === null ? null : negative && value ? -value : value, config.unit, config.decimals),
    style: custom.drawStyle === 'bars' ? 'bars' : custom.drawStyle === 'points' ? 'points' : 'line',
    step: custom.lineInterpolation, width: custom.lineWidth ?? 1, fill: (custom.fillOpacity ?? 0) / 100,
    dash: custom.lineStyle?.fill && custom.lineStyle.fill !== 'solid' ? (custom.lineStyle.dash ?? [6, 6]) : undefined,
    points: isSparse(values) ? 'always' : custom.showPoints, spanNulls: custom.spanNulls === true || typeof custom.spanNulls === 'number',
    stackGroup: stacking === 'normal' || stacking === 'percent' ? (custom.stacking.group ?? 'A') : undefined,
    right: custom.axisPlacement === 'right',
  };
}

/** Whether there is so little that a line would not be seen: a target that has just begun. */
function isSparse(values: readonly (number | null)[]): boolean {
  let count = 0;
  for (let at = values.length - 1; at >= 0 && count < 3; at--) if (values[at] !== null && values[at] !== undefined) count++;
  return count > 0 && count < 3;
}

interface Named { series: ChartSeries; field: Field }

function collect(frames: Frame[]): Named[] {
  const found: Named[] = [];
  for (const frame of frames) {
    const time = frame.fields.find(field => field.type === 'time');
    if (!time) continue;
    for (const field of frame.fields) {
      const hidden = field.config.custom?.hideFrom;
      if (field.type !== 'number' || hidden?.viz === true || hidden?.graph === true) continue;
      found.push({ series: toSeries(field, time.values as number[], frame, found.length), field });
    }
  }
  return found;
}

export function TimeSeries({ panel, data, syncKey, onZoom }: PanelProps) {
  const shade = theme.value;
  const all = useMemo(() => collect(data.frames), [data.frames, shade]);
  const [only, setOnly] = useState<ReadonlySet<string>>(new Set());
  const series = useMemo(() => all.map(each => (only.size && !only.has(each.series.name) ? { ...each.series, hidden: true } : each.series)), [all, only]);
  const { defaults } = panel.fieldConfig;
  const config: Json = { ...defaults, ...all[0]?.field.config };
  const custom = config.custom ?? {};
  const percent = all.some(each => each.field.config.custom?.stacking?.mode === 'percent');
  const limits = custom.thresholdsStyle?.mode && custom.thresholdsStyle.mode !== 'off'
    ? (config.thresholds?.steps ?? []).filter((step: Json) => typeof step?.value === 'number').map((step: Json) => ({ value: step.value, color: namedColor(step.color) }))
    : [];
  const legend = { showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [], ...panel.options.legend } as Json;
  const shown = legend.showLegend !== false && legend.displayMode !== 'hidden';
  const toggle = (name: string, many: boolean): void => {
    const next = new Set(only);
    if (many) {
      if (!next.size) for (const each of all) next.add(each.series.name);
      if (!next.delete(name)) next.add(name);
    } else if (next.size === 1 && next.has(name)) next.clear();
    else { next.clear(); next.add(name); }
    setOnly(next.size === all.length ? new Set() : next);
  };
  if (!all.length) return <div class="panel-empty">{config.noValue ?? 'No data'}</div>;
  return (
    <div class={`series-view legend-${legend.placement === 'right' ? 'right' : 'bottom'}`}>
      <Chart
        title={panel.title} series={series} span={data.span} min={num(config.min)} max={num(config.max)} softMin={num(custom.axisSoftMin)} softMax={num(custom.axisSoftMax)}
        log={custom.scaleDistribution?.type === 'log' ? custom.scaleDistribution.log : undefined} percent={percent} axis={custom.axisPlacement !== 'hidden'}
        label={custom.axisLabel || undefined} syncKey={syncKey} thresholds={limits} thresholdArea={/area/.test(custom.thresholdsStyle?.mode ?? '')}
        tooltip={panel.options.tooltip?.mode === 'single' ? 'single' : panel.options.tooltip?.mode === 'none' ? 'none' : 'multi'} sort={panel.options.tooltip?.sort} onZoom={onZoom}
      />
      {shown && <Legend all={all} legend={legend} only={only} toggle={toggle} />}
    </div>
  );
}

const num = (value: Json): number | undefined => (typeof value === 'number' ? value : undefined);

interface LegendProps { all: Named[]; legend: Json; only: ReadonlySet<string>; toggle: (name: string, many: boolean) => void }

function Legend({ all, legend, only, toggle }: LegendProps) {
  const [every, setEvery] = useState(false);
  const [order, setOrder] = useState<{ by: string; down: boolean } | null>(legend.sortBy ? { by: legend.sortBy, down: legend.sortDesc === true } : null);
  const calcs: string[] = legend.calcs ?? [];
  const items = all.filter(({ field }) => field.config.custom?.hideFrom?.legend !== true).map(({ series, field }) => ({
    series, values: calcs.map(how => reduce(field.values, how) as number | null),
  }));
  if (order) {
    const at = calcs.findIndex(how => (REDUCER_NAMES[how] ?? how) === order.by);
    items.sort((a, b) => (order.down ? -1 : 1) * (at < 0 ? a.series.name.localeCompare(b.series.name) : (a.values[at] ?? -Infinity) - (b.values[at] ?? -Infinity)));
  }
  const cut = every ? items : items.slice(0, LEGEND_MAX);
  const name = ({ series }: { series: ChartSeries }) => (
    <button type="button" aria-pressed={!only.size || only.has(series.name)} onClick={event => toggle(series.name, event.ctrlKey || event.metaKey || event.shiftKey)} title={`${series.name}\nClick: this one only · Ctrl+click: add or remove`}>
      <Swatch series={series} /><span>{series.name}</span>
    </button>
  );
  const more = items.length > cut.length && <button type="button" class="link" onClick={() => setEvery(true)}>Show all {items.length}</button>;
  const faded = (series: ChartSeries): string => (only.size && !only.has(series.name) ? 'faded' : '');
  if (legend.displayMode !== 'table') {
    return (
      <ul class="legend">
        {cut.map(item => <li class={faded(item.series)}>{name(item)}{calcs.map((how, at) => <small>{REDUCER_NAMES[how] ?? how}: {item.series.show(item.values[at])}</small>)}</li>)}
        {more && <li>{more}</li>}
      </ul>
    );
  }
  const head = (label: string) => (
    <th scope="col" aria-sort={order?.by === label ? (order.down ? 'descending' : 'ascending') : undefined}>
      <button type="button" onClick={() => setOrder({ by: label, down: order?.by === label ? !order.down : true })}>{label}{order?.by === label ? (order.down ? ' ↓' : ' ↑') : ''}</button>
    </th>
  );
  return (
    <div class="legend-table">
      <table>
        <thead><tr>{head('Name')}{calcs.map(how => head(REDUCER_NAMES[how] ?? how))}</tr></thead>
        <tbody>{cut.map(item => <tr class={faded(item.series)}><td>{name(item)}</td>{item.values.map(value => <td>{item.series.show(value)}</td>)}</tr>)}</tbody>
      </table>
      {more}
    </div>
  );
}

function Swatch({ series }: { series: ChartSeries }) {
  return <i style={{ background: series.color }} />;
}
