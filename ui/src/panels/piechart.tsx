/** Shares of a whole. */

import { paletteColor } from '../format/colors.ts';
import { shownText } from '../format/values.ts';
import { theme } from '../theme.ts';
import { singles } from './reduced.ts';
import type { PanelProps } from './view.ts';

export function PieChart(props: PanelProps) {
  const { options, fieldConfig } = props.panel;
  const mode = fieldConfig.defaults?.color?.mode ?? 'palette-classic';
  const found = singles(props).filter(each => (each.number ?? 0) > 0)
    .map((each, at) => ({ ...each, paint: mode.startsWith('palette') && each.field.config.color?.mode !== 'fixed' || !each.color ? paletteColor(at, theme.value) : each.color }))
    .sort((a, b) => (b.number ?? 0) - (a.number ?? 0));
  const whole = found.reduce((sum, each) => sum + (each.number ?? 0), 0);
  if (!whole) return <div class="panel-empty">{fieldConfig.defaults?.noValue ?? 'No data'}</div>;
  const donut = options.pieType === 'donut';
  let before = 0;
  const legend = options.legend?.showLegend !== false && options.legend?.displayMode !== 'hidden';
  const withPercent = !options.legend?.values || options.legend.values.includes('percent');
  return (
    <div class={`pie legend-${options.legend?.placement === 'bottom' ? 'bottom' : 'right'}`}>
      <svg viewBox="-52 -52 104 104" role="img" aria-label={`${props.panel.title}: ${found.map(each => `${each.name} ${shownText(each)}`).join(', ')}`}>
        {found.map(each => {
          const share = (each.number ?? 0) / whole;
          const start = before;
          before += share;
          return <path d={slice(start, before, donut ? 27 : 0)} fill={each.paint} class="pie-slice"><title>{each.name}: {shownText(each)} ({(share * 100).toFixed(1)}%)</title></path>;
        })}
      </svg>
      {legend && <ul class="legend">{found.map(each => <li><span><i style={{ background: each.paint }} /><span>{each.name}</span></span><small>{shownText(each)}{withPercent ? ` · ${(((each.number ?? 0) / whole) * 100).toFixed(0)}%` : ''}</small></li>)}</ul>}
    </div>
  );
}

function slice(from: number, to: number, inner: number): string {
  const end = Math.min(to, from + 0.9999);
  const at = (share: number, radius: number): string => {
    const angle = share * 2 * Math.PI - Math.PI / 2;
    return `${(radius * Math.cos(angle)).toFixed(3)} ${(radius * Math.sin(angle)).toFixed(3)}`;
  };
  const large = end - from > 0.5 ? 1 : 0;
  const outer = `M ${at(from, 50)} A 50 50 0 ${large} 1 ${at(end, 50)}`;
  return inner ? `${outer} L ${at(end, inner)} A ${inner} ${inner} 0 ${large} 0 ${at(from, inner)} Z` : `${outer} L 0 0 Z`;
}
