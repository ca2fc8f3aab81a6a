/** Round gauges. */

import { inkOf } from '../format/colors.ts';
import { theme } from '../theme.ts';
import { shownText, thresholdColor } from '../format/values.ts';
import { singles, type Single } from './reduced.ts';
import { useSize } from './stat.tsx';
import type { PanelProps } from './view.ts';

const START = -210;
const SWEEP = 240;

function point(degrees: number, radius: number): string {
  const angle = (degrees * Math.PI) / 180;
  return `${(100 + radius * Math.cos(angle)).toFixed(2)} ${(100 + radius * Math.sin(angle)).toFixed(2)}`;
}

function arc(from: number, to: number, radius: number): string {
  const [a, b] = [START + SWEEP * from, START + SWEEP * to];
  return `M ${point(a, radius)} A ${radius} ${radius} 0 ${b - a > 180 ? 1 : 0} 1 ${point(b, radius)}`;
}

export function Gauge(props: PanelProps) {
  const [element, { width, height }] = useSize();
  const found = singles(props);
  const columns = Math.max(1, Math.min(found.length, Math.round(Math.sqrt((found.length * width) / Math.max(height, 1))) || 1));
  return (
    <div class="gauges" ref={element} style={{ gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` }}>
      {!found.length && <div class="panel-empty">{props.panel.fieldConfig.defaults?.noValue ?? 'No data'}</div>}
      {found.map(single => <One single={single} markers={props.panel.options.showThresholdMarkers !== false} named={found.length > 1} />)}
    </div>
  );
}

function One({ single, markers, named }: { single: Single; markers: boolean; named: boolean }) {
  const { low, high, number, field } = single;
  const place = number === null ? 0 : Math.min(Math.max((number - low) / (high - low || 1), 0), 1);
  const steps = field.config.thresholds?.steps ?? [];
  const isShare = field.config.thresholds?.mode === 'percentage';
  const at = (value: number | null): number => (value === null || value === undefined ? 0 : Math.min(Math.max(isShare ? value / 100 : (value - low) / (high - low || 1), 0), 1));
  const text = shownText(single);
  return (
    <div class="gauge">
      <svg viewBox="0 8 200 160" role="img" aria-label={`${single.name}: ${text}`}>
        <path d={arc(0, 1, 76)} class="gauge-track" />
        {place > 0.002 && <path d={arc(0, place, 76)} class="gauge-value" stroke={single.color || 'var(--accent)'} />}
        {markers && steps.map((step, n) => {
          const [from, to] = [at(step.value), n + 1 < steps.length ? at(steps[n + 1].value) : 1];
          const middle = isShare ? low + (high - low) * from + 1e-9 : (step.value ?? -Infinity);
          return to > from && <path d={arc(from, to, 91)} class="gauge-mark" stroke={thresholdColor(middle, field.config, low, high)} />;
        })}
        <text x="100" y="112" text-anchor="middle" class="gauge-text" font-size={Math.min(36, 172 / Math.max(text.length, 4))} fill={inkOf(single.color, theme.value) || 'var(--text)'}>{text}</text>
        {named && <text x="100" y="150" text-anchor="middle" class="gauge-name">{single.name.slice(0, 28)}</text>}
      </svg>
    </div>
  );
}
