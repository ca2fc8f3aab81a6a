/** Big numbers, with a spark line behind them. */

import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { inkOf, textOn } from '../format/colors.ts';
import { theme } from '../theme.ts';
import { singles, type Single } from './reduced.ts';
import type { PanelProps } from './view.ts';

/** The size of an element, as it changes. */
export function useSize(): [{ current: HTMLDivElement | null }, { width: number; height: number }] {
  const element = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState({ width: 0, height: 0 });
  useLayoutEffect(() => {
    const measure = (): void => {
      const { clientWidth: width, clientHeight: height } = element.current!;
      setSize(before => (before.width === width && before.height === height ? before : { width, height }));
    };
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(element.current!);
    return () => watch.disconnect();
  }, []);
  return [element, size];
}

export function Stat(props: PanelProps) {
  const { panel } = props;
  const [element, { width, height }] = useSize();
  const found = singles(props);
  const count = Math.max(found.length, 1);
  const vertical = panel.options.orientation === 'vertical' || (panel.options.orientation !== 'horizontal' && width < height * 1.6);
  const columns = vertical ? 1 : Math.min(count, Math.max(1, Math.ceil(Math.sqrt((count * width) / Math.max(height, 1) / 2))));
  const rows = Math.ceil(count / columns);
  const mode: string = panel.options.textMode ?? 'auto';
  const named = mode === 'value_and_name' || mode === 'name' || (mode === 'auto' && found.length > 1);
  return (
    <div class="stats" ref={element} style={{ gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))`, gridTemplateRows: `repeat(${rows}, minmax(0, 1fr))` }}>
      {!found.length && <div class="panel-empty">{panel.fieldConfig.defaults?.noValue ?? 'No data'}</div>}
      {width > 0 && found.map(single => <One single={single} props={props} width={width / columns} height={height / rows} named={named} valued={mode !== 'name' && mode !== 'none'} />)}
    </div>
  );
}

let pen: CanvasRenderingContext2D | null | undefined;

/** How wide a text is in bold, in units of its font size. */
function emsOf(text: string): number {
  if (pen === undefined) {
    pen = document.createElement('canvas').getContext('2d');
    if (pen) pen.font = `600 100px ${getComputedStyle(document.body).fontFamily}`;
  }
  return pen ? pen.measureText(text).width / 100 : text.length * 0.65;
}

interface OneProps { single: Single; props: PanelProps; width: number; height: number; named: boolean; valued: boolean }

function One({ single, props: { panel }, width, height, named, valued }: OneProps) {
  const { colorMode = 'value', graphMode = 'area', prefix = '', postfix = '' } = panel.options;
  const filled = colorMode === 'background' || colorMode === 'background_solid';
  const color = single.color || 'var(--text)';
  const line = graphMode !== 'none' && single.values.length > 2 && height > 60;
  const room = height - (named ? 20 : 0) - (line ? height * 0.22 : 0);
  const asked = panel.options.text?.valueSize;
  const wide = emsOf((prefix + (single.prefix ?? '') + single.text)) + 0.58 * emsOf((single.suffix ?? '') + postfix);
  const size = asked ?? Math.max(13, Math.min(room * 0.62, (width - 26) / Math.max(wide, 1), 56));
  const ink = filled && single.color && !single.color.startsWith('var') ? textOn(single.color) : undefined;
  const suffix = (single.suffix ?? '') + postfix;
  return (
    <div class={`stat ${panel.options.justifyMode === 'center' ? 'center' : ''}`} style={{ background: filled ? color : '', color: ink ?? (colorMode === 'value' ? inkOf(color, theme.value) : ''), paddingBottom: line ? `${Math.round(height * 0.24)}px` : '' }}>
      {line && <Spark values={single.values} color={filled ? (ink ?? 'currentColor') : color} />}
      {named && <div class="stat-name" style={{ color: ink ?? '' }} title={single.name}>{single.name}</div>}
      {valued && <div class="stat-value" style={{ fontSize: `${size}px` }}>{prefix}{single.prefix}{single.text}{suffix && <small>{suffix}</small>}</div>}
    </div>
  );
}

/** A line without axes, as wide as its place. */
export function Spark({ values, color }: { values: readonly unknown[]; color: string }) {
  const known = values.map(value => (typeof value === 'number' && Number.isFinite(value) ? value : null));
  const present = known.filter(value => value !== null);
  if (present.length < 2) return null;
  let [low, high] = [present[0], present[0]];
  for (const value of present) { if (value < low) low = value; if (value > high) high = value; }
  const spread = high - low || 1;
  const step = Math.max(1, Math.floor(known.length / 160));
  const points: string[] = [];
  for (let at = 0; at < known.length; at += step) {
    const value = known[at];
    if (value !== null) points.push(`${((at / (known.length - 1)) * 100).toFixed(2)},${(high === low ? 20 : 38 - ((value - low) / spread) * 34).toFixed(2)}`);
  }
  const first = points[0].split(',')[0];
  const last = points[points.length - 1].split(',')[0];
  return (
    <svg class="spark" viewBox="0 0 100 40" preserveAspectRatio="none" aria-hidden="true">
      <polygon points={`${first},40 ${points.join(' ')} ${last},40`} fill={color} opacity="0.14" />
      <polyline points={points.join(' ')} fill="none" stroke={color} stroke-width="1.2" vector-effect="non-scaling-stroke" opacity="0.8" />
    </svg>
  );
}
