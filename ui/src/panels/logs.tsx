import { LogView } from '../widgets/logview.tsx';
import type { PanelProps } from './view.ts';

export function LogsPanel({ panel, data }: PanelProps) {
  const { showTime = true, wrapLogMessage = false, sortOrder = 'Descending', showLabels = false } = panel.options;
  if (!data.lines.length) return <div class="panel-empty">No lines</div>;
  return <LogView lines={data.lines} time={showTime} wrap={wrapLogMessage} forward={sortOrder === 'Ascending'} labels={showLabels} />;
}
