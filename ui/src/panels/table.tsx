/** Tables: sorted by a click, cells coloured and measured as the dashboard says, rows drawn only where they are seen. */

import { useMemo, useState } from 'preact/hooks';
import { displayName, type Cell, type Field, type Frame } from '../data/frame.ts';
import { reduce } from '../data/reduce.ts';
import { sortedRows } from '../data/transform.ts';
import { fade, inkOf, textOn } from '../format/colors.ts';
import { formatDate } from '../format/dates.ts';
import { safeHref } from '../format/links.ts';
import { show, shownText } from '../format/values.ts';
import { interpolate, type Scope } from '../model/interpolate.ts';
import { theme } from '../theme.ts';
import { Spark } from './stat.tsx';
import type { PanelProps } from './view.ts';

const ROW = 30;

/** One table out of whatever the queries gave: a table as it is, series as a row each. */
function tableOf(frames: Frame[]): Frame | undefined {
  const tables = frames.filter(frame => frame.shape === 'table');
  if (tables.length) return tables[0];
  if (frames.length <= 1) return frames[0];
  const names = [...new Set(frames.flatMap(frame => Object.keys(frame.fields[1]?.labels ?? {})))];
  const value = frames[0].fields.find(field => field.type === 'number');
  const fields: Field[] = names.map(name => ({ name, type: 'string', config: {}, values: frames.map(frame => frame.fields[1]?.labels?.[name] ?? '') }));
  if (value) fields.push({ ...value, legend: undefined, labels: undefined, name: 'Value', values: frames.map(frame => reduce(frame.fields[1]?.values ?? [], 'lastNotNull')) });
  return { refId: 'A', shape: 'table', fields, length: frames.length };
}

export function TablePanel({ panel, data, scope }: PanelProps) {
  const frame = useMemo(() => tableOf(data.frames), [data.frames]);
  const preset = panel.options.sortBy?.[0];
  const [order, setOrder] = useState<{ by: string; down: boolean } | null>(preset?.displayName ? { by: preset.displayName, down: preset.desc === true } : null);
  const [top, setTop] = useState(0);
  const fields = frame?.fields.filter(field => field.config.custom?.hidden !== true && field.config.custom?.hideFrom?.viz !== true) ?? [];
  const by = order && fields.find(field => displayName(field, frame) === order.by);
  const rows = useMemo(() => (by ? sortedRows(by.values, order!.down) : Array.from({ length: frame?.length ?? 0 }, (_, at) => at)), [frame, by, order]);
  const extents = useMemo(() => fields.map(field => [reduce(field.values, 'min'), reduce(field.values, 'max')] as [number, number]), [frame]);
  if (!frame || !rows.length) return <div class="panel-empty">{panel.fieldConfig.defaults?.noValue ?? 'No data'}</div>;
  const many = rows.length > 200;
  const first = many ? Math.max(0, Math.floor(top / ROW) - 10) : 0;
  const last = many ? Math.min(rows.length, first + 80) : rows.length;
  const footer = panel.options.footer?.show ? (panel.options.footer.reducer?.[0] ?? 'sum') : undefined;
  return (
    <div class="table-scroll" onScroll={many ? event => setTop(event.currentTarget.scrollTop) : undefined} tabIndex={0} role="region" aria-label={panel.title || 'Table'}>
      <table class="data-table">
        {panel.options.showHeader !== false && (
          <thead><tr>{fields.map(field => {
            const name = displayName(field, frame);
            const sorted = order?.by === name;
            return (
              <th scope="col" class={field.type === 'number' ? 'number' : ''} style={{ width: field.config.custom?.width ? `${field.config.custom.width}px` : '' }} aria-sort={sorted ? (order.down ? 'descending' : 'ascending') : undefined}>
                <button type="button" onClick={() => setOrder(sorted && !order.down ? { by: name, down: true } : sorted ? null : { by: name, down: false })}>{name}{sorted ? (order.down ? ' ↓' : ' ↑') : ''}</button>
              </th>
            );
          })}</tr></thead>
        )}
        <tbody>
          {first > 0 && <tr style={{ height: `${first * ROW}px` }} />}
          {rows.slice(first, last).map(row => <tr key={row}>{fields.map((field, at) => <TableCell field={field} row={row} frame={frame} scope={scope} extent={extents[at]} index={at} />)}</tr>)}
          {last < rows.length && <tr style={{ height: `${(rows.length - last) * ROW}px` }} />}
        </tbody>
        {footer && <tfoot><tr>{fields.map(field => <td class={field.type === 'number' ? 'number' : ''}>{field.type === 'number' ? shownText(show(reduce(field.values, footer), field.config, theme.value)) : ''}</td>)}</tr></tfoot>}
      </table>
    </div>
  );
}

interface CellProps { field: Field; row: number; frame: Frame; scope: Scope; extent: [number, number]; index: number }

function TableCell({ field, row, frame, scope, extent, index }: CellProps) {
  const value: Cell = field.values[row];
  const { config } = field;
  const custom = config.custom ?? {};
  const kind: string = custom.cellOptions?.type ?? (typeof custom.displayMode === 'string' ? custom.displayMode : 'auto');
  const shown = field.type === 'time' && typeof value === 'number' && !config.unit ? { text: formatDate(value, 'datetime'), color: '', number: value } : show(value, config, theme.value, index, extent);
  const text = shownText(shown);
  const align = custom.align && custom.align !== 'auto' ? custom.align : '';
  const className = field.type === 'number' ? 'number' : '';
  if (/sparkline/.test(kind)) return <td class="spark-cell"><Spark values={Array.isArray(value) ? value : []} color="var(--accent)" /></td>;
  if (/gauge/.test(kind) && shown.number !== null) {
    const [low, high] = [config.min ?? Math.min(0, extent[0]), config.max ?? extent[1]];
    const place = Math.min(Math.max((shown.number - low) / (high - low || 1), 0), 1);
    return <td class={className}><span class="cell-gauge"><span class="bar-track"><span class="bar-fill" style={{ inlineSize: `${place * 100}%`, background: shown.color || 'var(--accent)' }} /></span><b style={{ color: inkOf(shown.color, theme.value) }}>{text}</b></span></td>;
  }
  const background = /background/.test(kind) && shown.color && !shown.color.startsWith('var') ? fade(shown.color, 0.85) : '';
  const color = background ? textOn(shown.color) : /color-text/.test(kind) ? inkOf(shown.color, theme.value) : '';
  const link = linkOf(field, row, frame, scope, text);
  return <td class={className} style={{ background, color, textAlign: align }} title={text.length > 30 ? text : undefined}>{link ? <a href={link}>{text}</a> : text}</td>;
}

/** A cell's first data link, its values put in. */
function linkOf(field: Field, row: number, frame: Frame, scope: Scope, text: string): string {
  const url = field.config.links?.[0]?.url;
  if (typeof url !== 'string') return '';
  const cell = (name: string): string => {
    const found = frame.fields.find(each => displayName(each, frame) === name || each.name === name);
    return encodeURIComponent(String(found?.values[row] ?? ''));
  };
  const filled = url
    .replace(/\$\{__data\.fields(?:\.|\[["']?)([^\]}"']+)["']?\]?(?::[a-z]+)?\}/g, (_, name: string) => cell(name))
    .replace(/\$\{__value\.(?:raw|text|numeric)\}/g, encodeURIComponent(text))
    .replace(/\$\{__field\.labels\.([^}]+)\}/g, (_, name: string) => encodeURIComponent(field.labels?.[name] ?? ''))
    .replace(/\$__cell(?:_\d+)?/g, encodeURIComponent(text));
  return safeHref(interpolate(filled, scope, 'url'));
}
