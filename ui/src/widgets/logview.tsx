/** Log lines: level colours, terminal colours, a click opens a line's labels and fields. One component for the page, Explore and panels. */

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { LogLine } from '../data/frame.ts';
import { ansiPieces } from '../format/ansi.ts';
import { formatDate } from '../format/dates.ts';
import { Icon } from './icons.tsx';

const LEVELS: readonly (readonly [RegExp, string])[] = [
  [/^(fatal|critical|crit|emerg|alert|panic)/i, 'critical'], [/^err/i, 'error'], [/^warn/i, 'warning'], [/^(info|notice)/i, 'info'], [/^(debug)/i, 'debug'], [/^trace/i, 'trace'],
];

/** The level of a line: its label's, its field's, or the first word that names one. */
export function levelOf({ labels, line }: LogLine): string {
  const named = labels.level ?? labels.detected_level ?? labels.severity ?? /"(?:level|severity|lvl)"\s*:\s*"(\w+)"/i.exec(line)?.[1] ?? /\b(?:level|lvl|severity)=(\w+)/i.exec(line)?.[1]
    ?? /\b(FATAL|CRITICAL|ERROR|WARN(?:ING)?|INFO|DEBUG|TRACE)\b/.exec(line.slice(0, 120))?.[1] ?? '';
  return LEVELS.find(([pattern]) => pattern.test(named))?.[1] ?? 'unknown';
}

interface Props {
  lines: LogLine[];
  time?: boolean;
  wrap?: boolean;
  forward?: boolean;
  labels?: boolean;
  onLabel?: (name: string, value: string, equal: boolean) => void;
}

const PAGE = 200;

export function LogView({ lines, time = true, wrap = false, forward = false, labels = false, onLabel }: Props) {
  const sorted = useMemo(() => {
    const order = forward ? 1 : -1;
    return [...lines].sort((a, b) => (a.timeNs.length - b.timeNs.length || (a.timeNs < b.timeNs ? -1 : a.timeNs > b.timeNs ? 1 : 0)) * order);
  }, [lines, forward]);
  const [shown, setShown] = useState(PAGE);
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const watch = new IntersectionObserver(entries => { if (entries[0].isIntersecting) setShown(count => count + PAGE); }, { rootMargin: '400px 0px' });
    if (end.current) watch.observe(end.current);
    return () => watch.disconnect();
  }, [sorted, shown]);
  return (
    <div class={`loglines ${wrap ? 'wrap' : ''}`} role="log" aria-live="off" tabIndex={0} aria-label="Log lines">
      {sorted.slice(0, shown).map((line, at) => <Line key={`${line.timeNs}-${at}`} line={line} time={time} labels={labels} onLabel={onLabel} />)}
      {shown < sorted.length && <div ref={end} class="muted small">{sorted.length - shown} more lines</div>}
    </div>
  );
}

function Line({ line, time, labels, onLabel }: { line: LogLine; time: boolean; labels: boolean; onLabel?: Props['onLabel'] }) {
  const [open, setOpen] = useState(false);
  const level = levelOf(line);
  return (
    <div class={`logline level-${level}${open ? ' open' : ''}`}>
      <button type="button" class="logline-main" aria-expanded={open} onClick={() => { if (!getSelection()?.toString()) setOpen(!open); }}>
        <i class="level" title={level} />
        {time && <time>{formatDate(line.ms, 'millis')}</time>}
        {labels && <span class="logline-labels">{Object.entries(line.labels).map(([key, value]) => `${key}=${value}`).join(' ')}</span>}
        <span class="logline-text">{ansiPieces(line.line).map(({ text, classes }) => (classes ? <span class={classes}>{text}</span> : text))}</span>
      </button>
      {open && <Detail line={line} onLabel={onLabel} />}
    </div>
  );
}

/** The fields of a line that is a JSON object, one level deep and nested ones as text. */
export function fieldsOf(line: string): Record<string, string> {
  if (!line.trimStart().startsWith('{')) return {};
  try {
    const parsed: unknown = JSON.parse(line);
    if (!parsed || typeof parsed !== 'object' || Array.isArray(parsed)) return {};
    return Object.fromEntries(Object.entries(parsed).slice(0, 100).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value)]));
  } catch {
    return {};
  }
}

function Detail({ line, onLabel }: { line: LogLine; onLabel?: Props['onLabel'] }) {
  const fields = fieldsOf(line.line);
  const row = (key: string, value: string, filters: boolean) => (
    <tr>
      <th scope="row">{key}</th>
      <td>{value}</td>
      <td class="row-tools">{filters && onLabel && <>
        <button type="button" class="button icon-only small" title={`Only ${key}="${value}"`} aria-label={`Only ${key}=${value}`} onClick={() => onLabel(key, value, true)}><Icon name="plus" size={12} /></button>
        <button type="button" class="button icon-only small" title={`Without ${key}="${value}"`} aria-label={`Without ${key}=${value}`} onClick={() => onLabel(key, value, false)}><Icon name="close" size={12} /></button>
      </>}</td>
    </tr>
  );
  return (
    <div class="logline-detail">
      <table>
        <tbody>
          {Object.entries(line.labels).map(([key, value]) => row(key, value, true))}
          {Object.keys(fields).length > 0 && <tr class="section"><th colSpan={3}>Fields of the line</th></tr>}
          {Object.entries(fields).map(([key, value]) => row(key, value, false))}
        </tbody>
      </table>
    </div>
  );
}
