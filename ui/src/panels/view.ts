/** What a panel is given to draw. */

import type { Frame, LogLine } from '../data/frame.ts';
import type { Panel } from '../model/dashboard.ts';
import type { Scope } from '../model/interpolate.ts';
import type { Span } from '../model/time.ts';

export interface PanelData {
  frames: Frame[];
  lines: LogLine[];
  span: Span;
  notices: string[];
}

export interface PanelProps {
  panel: Panel;
  data: PanelData;
  scope: Scope;
  syncKey?: string;
  onZoom?: (from: number, to: number) => void;
}
