/** Bars, one a value, each on its own scale from least to most. */

import { shownText, thresholdColor } from '../format/values.ts';
import { gradientColor, inkOf } from '../format/colors.ts';
import { theme } from '../theme.ts';
import { singles, type Single } from './reduced.ts';
import type { PanelProps } from './view.ts';

function fillOf(single: Single, mode: string, place: number): string {
  const color = single.color || 'var(--accent)';
  if (mode !== 'gradient' && mode !== 'lcd') return color;
  const { config } = single.field;
  if (config.color?.mode?.startsWith('continuous')) {
    const stops = [0, 0.25, 0.5, 0.75, 1].map(at => gradientColor(config.color!.mode!, at * place));
    return `linear-gradient(90deg, ${stops.join(', ')})`;
  }
  const steps = config.thresholds?.steps ?? [];
  if (config.color?.mode && config.color.mode !== 'thresholds' || steps.length < 2) return `linear-gradient(90deg, color-mix(in srgb, ${color} 45%, transparent), ${color})`;
  return `linear-gradient(90deg, color-mix(in srgb, ${thresholdColor(single.low, config, single.low, single.high)} 65%, transparent), ${color})`;
}

export function BarGauge(props: PanelProps) {
  const found = singles(props);
  const { displayMode = 'gradient', orientation = 'horizontal', showUnfilled = true } = props.panel.options;
  // Values without limits of their own are compared with each other.
  const free = props.panel.fieldConfig.defaults?.max === undefined;
  const most = Math.max(...found.map(each => each.number ?? 0), 0) || 1;
  if (!found.length) return <div class="panel-empty">{props.panel.fieldConfig.defaults?.noValue ?? 'No data'}</div>;
  return (
    <ul class={`bargauge ${orientation === 'vertical' ? 'vertical' : ''}`}>
      {found.map(single => {
        const high = free && !single.field.config.unit?.startsWith('percent') ? most : single.high;
        const place = single.number === null ? 0 : Math.min(Math.max((single.number - single.low) / (high - single.low || 1), 0), 1);
        const size = `${(place * 100).toFixed(1)}%`;
        return (
          <li>
            <span class="bar-name" title={single.name}>{single.name}</span>
            <span class={`bar-track ${showUnfilled ? '' : 'bare'}`}><span class="bar-fill" style={{ inlineSize: size, background: fillOf(single, displayMode, place) }} /></span>
            <span class="bar-value" style={{ color: inkOf(single.color, theme.value) }}>{shownText(single)}</span>
          </li>
        );
      })}
    </ul>
  );
}
