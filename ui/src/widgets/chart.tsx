/** A time chart: uPlot with our axes, tooltip, drag to zoom, shared cursor, keys, and a table for those who cannot see it. */

import { useEffect, useMemo, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { reduce } from '../data/reduce.ts';
import { blend, fade } from '../format/colors.ts';
import { formatDate, formatTick } from '../format/dates.ts';
import { formatText } from '../format/units.ts';
import type { Span } from '../model/time.ts';
import { theme } from '../theme.ts';
import { align, finite, stack, type Column } from './stack.ts';
import { createTooltip, type Tooltip } from './tooltip.ts';

export interface ChartSeries {
  name: string;
  times: number[];
  values: Column;
  color: string;
  unit?: string;
  decimals?: number | null;
  show: (value: number | null) => string;
  style?: 'line' | 'bars' | 'points';
  step?: 'stepBefore' | 'stepAfter' | 'smooth' | 'linear';
  width?: number;
  fill?: number;
  dash?: number[];
  points?: 'always' | 'never' | 'auto';
  spanNulls?: boolean;
  stackGroup?: string;
  right?: boolean;
  hidden?: boolean;
}

export interface ChartProps {
  title: string;
  series: ChartSeries[];
  span: Span;
  min?: number;
  max?: number;
  softMin?: number;
  softMax?: number;
  log?: number;
  percent?: boolean;
  axis?: boolean;
  label?: string;
  syncKey?: string;
  thresholds?: { value: number; color: string }[];
  thresholdArea?: boolean;
  tooltip?: 'single' | 'multi' | 'none';
  sort?: 'asc' | 'desc' | 'none';
  onZoom?: (from: number, to: number) => void;
}

const BINARY = Array.from({ length: 64 }, (_, at) => 2 ** at);
const TIME_STEPS = [
  1, 10, 100, 500, 1000, 2000, 5000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, 3_600_000, 7_200_000,
  10_800_000, 14_400_000, 21_600_000, 28_800_000, 43_200_000, 86_400_000, 172_800_000, 345_600_000, 604_800_000, 1_209_600_000, 2_592_000_000, 7_776_000_000,
];

const { spline, stepped, linear, bars } = uPlot.paths;

function pathsOf(series: ChartSeries): uPlot.Series.PathBuilder | undefined {
  if (series.style === 'bars') return bars!({ size: [0.8, 60], align: 0 });
  if (series.style === 'points') return () => null;
  if (series.step === 'stepAfter') return stepped!({ align: 1 });
  if (series.step === 'stepBefore') return stepped!({ align: -1 });
  return series.step === 'smooth' ? spline!() : linear!();
}

function scaleOf(series: ChartSeries, first: ChartSeries | undefined): string {
  return series.right || (first && (first.unit ?? '') !== (series.unit ?? '') && !first.right) ? 'y2' : 'y';
}

/** What must be the same for a chart to take new data without being made anew. */
function structure(props: ChartProps): string {
  const of = ({ name, color, unit, style, step, width, fill, dash, points, spanNulls, stackGroup, right, hidden }: ChartSeries): unknown[] =>
    [name, color, unit, style, step, width, fill, dash, points, spanNulls, stackGroup, right, hidden];
  const { min, max, softMin, softMax, log, percent, axis, label, syncKey, thresholds } = props;
  return JSON.stringify([props.series.map(of), min, max, softMin, softMax, log, percent, axis, label, syncKey, thresholds, theme.value]);
}

interface Prepared {
  data: uPlot.AlignedData;
  series: ChartSeries[];
  raw: Column[];
}

/** Orders, aligns and stacks the visible series. Stacked bars are drawn from the top of the stack down. */
function prepare(props: ChartProps): Prepared {
  let series = props.series.filter(each => !each.hidden);
  const aligned = align(series.map(each => each.times), series.map(each => finite(each.values)));
  let drawn = aligned.columns;
  let raw = aligned.columns;
  if (series.some(each => each.stackGroup !== undefined)) {
    drawn = stack(drawn, series.map(each => each.stackGroup), props.percent === true);
    const order = series.map((_, at) => at).reverse();
    series = order.map(at => series[at]);
    drawn = order.map(at => drawn[at]);
    raw = order.map(at => raw[at]);
  }
  return { data: [aligned.times, ...drawn] as uPlot.AlignedData, series, raw };
}

function fillOf(series: ChartSeries, background: string): string | undefined {
  const amount = series.fill ?? 0;
  if (!amount) return undefined;
  return series.stackGroup === undefined ? fade(series.color, amount) : blend(series.color, background, amount);
}

function options(props: ChartProps, prepared: Prepared, size: { width: number; height: number }, tooltip: Tooltip, root: HTMLElement): uPlot.Options {
  const style = getComputedStyle(root);
  const css = (name: string): string => style.getPropertyValue(name).trim();
  const [grid, ink, background] = [css('--grid'), css('--muted'), css('--panel')];
  const font = '11px system-ui, sans-serif';
  const first = prepared.series.find(each => !each.right) ?? prepared.series[0];
  const scales: uPlot.Scales = { x: { time: true, range: () => [props.span.from, props.span.to] } };
  const sides = new Map<string, ChartSeries>();
  for (const each of prepared.series) if (!sides.has(scaleOf(each, first))) sides.set(scaleOf(each, first), each);
  if (!sides.size) sides.set('y', { unit: '', name: '' } as ChartSeries);
  for (const key of sides.keys()) {
    scales[key] = {
      distr: props.log ? 3 : 1, log: (props.log === 2 ? 2 : 10) as 2 | 10,
      range: (_, low, high) => yRange(props, low, high, key === 'y'),
    };
  }
  const axes: uPlot.Axis[] = [{
    stroke: ink, font, size: 24, gap: 4, space: 70, incrs: TIME_STEPS, show: props.axis !== false, grid: { stroke: grid, width: 1 }, ticks: { show: false },
    values: (_u, splits, _axis, _space, apart) => splits.map(ms => formatTick(ms, apart)),
  }];
  for (const [key, { unit, decimals }] of sides) {
    const binary = /^(bytes|kbytes|mbytes|gbytes|binBps|bits)$/.test(unit ?? '');
    axes.push({
      scale: key, side: key === 'y' ? 3 : 1, stroke: ink, font, gap: 4, space: 28, show: props.axis !== false, incrs: binary && !props.log ? BINARY : undefined,
      grid: { stroke: grid, width: 1, show: key === 'y' || sides.size === 1 }, ticks: { show: false },
      label: key === 'y' ? props.label : undefined, labelFont: font, labelSize: 16, labelGap: 0,
      size: (_u, values) => Math.max(24, ...(values ?? []).map(text => (text ?? '').length * 6.1 + 12)),
      values: (_u, splits) => splits.map(value => (value === null ? '' : formatText(+value.toPrecision(12), props.percent ? 'percentunit' : unit, axisDecimals(value, decimals)))),
    });
  }
  return {
    ...size, ms: 1, scales, axes, padding: [6, sides.size > 1 ? 4 : 16, 0, 0], legend: { show: false }, pxAlign: 1,
    series: [{}, ...prepared.series.map((each): uPlot.Series => ({
      label: each.name, scale: scaleOf(each, first), stroke: each.color, width: each.width ?? 1, dash: each.dash, fill: fillOf(each, background),
      paths: pathsOf(each), spanGaps: each.spanNulls === true,
      points: { size: 4, show: each.points === 'always' || each.style === 'points' ? true : each.points === 'never' ? false : undefined, fill: each.color, stroke: each.color },
    }))],
    cursor: {
      sync: props.syncKey ? { key: props.syncKey, setSeries: false } : undefined, drag: { x: true, y: false, setScale: false },
      points: { size: 6, width: 1 }, focus: { prox: 1e6 },
    },
    hooks: {
      drawClear: props.thresholds?.length ? [u => drawThresholds(u, props)] : [],
      setCursor: [u => tooltip.update(u)],
      setSelect: [u => {
        const { left, width } = u.select;
        if (width < 6) return;
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        props.onZoom?.(Math.round(u.posToVal(left, 'x')), Math.round(u.posToVal(left + width, 'x')));
      }],
    },
  };
}

function axisDecimals(value: number, decimals: number | null | undefined): number | undefined {
  return Number.isInteger(value) ? undefined : (decimals ?? undefined);
}

function yRange({ min, max, softMin, softMax, log, percent }: ChartProps, low: number | null, high: number | null, isFirst: boolean): [number, number] {
  if (percent) return [0, 1];
  if (low === null || high === null || low === undefined || high === undefined) return [min ?? 0, max ?? Math.max(1, (min ?? 0) + 1)];
  if (log) return uPlot.rangeLog(low || 0.001, high || 1, log === 2 ? 2 : 10, true) as [number, number];
  const [floor, ceiling] = [Math.min(low, softMin ?? low), Math.max(high, softMax ?? high)];
  const found = uPlot.rangeNum(floor, ceiling, 0.1, true) as [number, number];
  const range: [number, number] = [isFirst ? (min ?? found[0]) : found[0], isFirst ? (max ?? found[1]) : found[1]];
  return range[0] < range[1] ? range : [range[0], range[0] + 1];
}

function drawThresholds(u: uPlot, { thresholds, thresholdArea }: ChartProps): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const [at, { value, color }] of thresholds!.entries()) {
    const y = u.valToPos(value, 'y', true);
    if (thresholdArea) {
      const above = thresholds![at + 1] ? u.valToPos(thresholds![at + 1].value, 'y', true) : bbox.top;
      ctx.fillStyle = fade(color, 0.1);
      ctx.fillRect(bbox.left, above, bbox.width, y - above);
      continue;
    }
    ctx.strokeStyle = fade(color, 0.8);
    ctx.setLineDash([6, 4]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}

function moveByKey(u: uPlot, event: KeyboardEvent): void {
  const way = event.key === 'ArrowLeft' ? -1 : event.key === 'ArrowRight' ? 1 : 0;
  if (!way) return;
  event.preventDefault();
  const times = u.data[0];
  const now = u.cursor.idx ?? (way > 0 ? -1 : times.length);
  const next = Math.min(Math.max(now + way * (event.shiftKey ? 10 : 1), 0), times.length - 1);
  if (times[next] !== undefined) u.setCursor({ left: u.valToPos(times[next], 'x'), top: 10 });
}

/** A chart that fills its parent. */
export function Chart(props: ChartProps) {
  const root = useRef<HTMLDivElement>(null);
  const chart = useRef<{ u: uPlot; key: string; tooltip: Tooltip } | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const key = structure(props);

  useEffect(() => {
    const element = root.current!;
    const prepared = prepare(props);
    const current = chart.current;
    if (current && current.key === key) {
      current.tooltip.set(prepared.series, prepared.raw, props);
      current.u.setData(prepared.data, false);
      current.u.redraw(true, true);
      const { from, to } = props.span;
      current.u.setScale('x', { min: from, max: to });
      return;
    }
    current?.u.destroy();
    current?.tooltip.remove();
    const tooltip = createTooltip(element);
    tooltip.set(prepared.series, prepared.raw, props);
    const size = { width: element.clientWidth || 300, height: element.clientHeight || 150 };
    const live: ChartProps = { ...props, get span() { return latest.current.span; }, onZoom: (from, to) => latest.current.onZoom?.(from, to) };
    chart.current = { u: new uPlot(options(live, prepared, size, tooltip, element), prepared.data, element), key, tooltip };
  }, [key, props.series, props.span.from, props.span.to]);

  useEffect(() => {
    const element = root.current!;
    const watch = new ResizeObserver(() => {
      const u = chart.current?.u;
      if (!u || !element.clientWidth || (u.width === element.clientWidth && u.height === element.clientHeight)) return;
      u.setSize({ width: element.clientWidth, height: element.clientHeight });
    });
    watch.observe(element);
    const keys = (event: KeyboardEvent): void => { if (chart.current) moveByKey(chart.current.u, event); };
    element.addEventListener('keydown', keys);
    return () => {
      watch.disconnect();
      element.removeEventListener('keydown', keys);
      chart.current?.u.destroy();
      chart.current?.tooltip.remove();
      chart.current = null;
    };
  }, []);

  return (
    <div class="chart-box">
      <div class="chart" ref={root} role="img" tabIndex={0} aria-label={`${props.title || 'Chart'}, ${props.series.length} series. Arrow keys move through time.`} data-points={props.series[0]?.times.length ?? 0} />
      <ChartTable {...props} />
    </div>
  );
}

/** What the chart says, in a table that only screen readers find. */
function ChartTable({ title, series, span }: ChartProps) {
  const rows = useMemo(() => series.slice(0, 10).map(each => ({
    name: each.name, ...Object.fromEntries(['lastNotNull', 'min', 'max'].map(how => [how, each.show(reduce(each.values, how) as number | null)])),
  } as Record<string, string>)), [series]);
  return (
    <div class="for-readers"><table>
      <caption>{title}, {formatDate(span.from, 'datetime')} to {formatDate(span.to, 'datetime')}</caption>
      <thead><tr><th>Series</th><th>Last</th><th>Min</th><th>Max</th></tr></thead>
      <tbody>{rows.map(row => <tr><th>{row.name}</th><td>{row.lastNotNull}</td><td>{row.min}</td><td>{row.max}</td></tr>)}</tbody>
    </table></div>
  );
}
