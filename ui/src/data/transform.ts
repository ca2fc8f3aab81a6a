/** Grafana's transformations: frames in, frames out. A kind that is not known leaves the frames as they are and is named. */

import type { Json } from '../model/dashboard.ts';
import { displayName, type Cell, type Field, type Frame } from './frame.ts';
import { reduce, REDUCER_NAMES } from './reduce.ts';

type Transform = (frames: Frame[], options: Json) => Frame[];

const table = (fields: Field[], refId = ''): Frame => ({ refId, shape: 'table', fields, length: fields[0]?.values.length ?? 0 });
const map = (frames: Frame[], change: (field: Field, frame: Frame) => Field | undefined): Frame[] =>
  frames.map(frame => ({ ...frame, fields: frame.fields.map(field => change(field, frame)).filter(field => field !== undefined) }));
const pick = (field: Field, rows: readonly number[]): Field => ({ ...field, values: rows.map(row => field.values[row]) });

/** Reads a pattern as Grafana writes them: /…/flags, or the bare expression; one that is wrong matches nothing. */
export function pattern(text: string): RegExp {
  const slashed = /^\/([\s\S]*)\/([a-z]*)$/.exec(text);
  const inline = /^\(\?([ims]+)\)/.exec(slashed ? slashed[1] : text);
  const body = (slashed ? slashed[1] : text).slice(inline ? inline[0].length : 0);
  try {
    return new RegExp(body, `${(slashed?.[2] ?? '').replace(/[^ims]/g, '')}${inline?.[1] ?? ''}`);
  } catch {
    return /(?!)/;
  }
}

/** A table out of series: one row for each point, labels as columns. Tables stay as they are. */
function asTable(frame: Frame): Frame {
  if (frame.shape === 'table') return frame;
  const [time, value] = [frame.fields[0], frame.fields[1]];
  return { ...frame, shape: 'table', fields: [time, { ...value, name: displayName(value, frame) }] };
}

function organize(frames: Frame[], { excludeByName = {}, indexByName = {}, renameByName = {}, includeByName = {} }: Json): Frame[] {
  const included = Object.values(includeByName ?? {}).includes(true);
  return frames.map(frame => {
    const kept = frame.fields.filter(field => {
      const name = displayName(field, frame);
      return !excludeByName[name] && (!included || includeByName[name]);
    });
    const place = (field: Field): number => indexByName[displayName(field, frame)] ?? Number.MAX_SAFE_INTEGER;
    const ordered = Object.keys(indexByName).length ? [...kept].sort((a, b) => place(a) - place(b)) : kept;
    const fields = ordered.map(field => {
      const name = renameByName[displayName(field, frame)];
      return name ? { ...field, name, legend: undefined, config: { ...field.config, displayName: name } } : field;
    });
    return { ...frame, fields };
  });
}

function merge(frames: Frame[]): Frame[] {
  const tables = frames.map(asTable).filter(frame => frame.fields.length);
  if (tables.length < 2) return tables;
  const names: string[] = [];
  const columns = new Map<string, Field>();
  for (const frame of tables) {
    for (const field of frame.fields) {
      const name = displayName(field, frame);
      if (!columns.has(name)) { columns.set(name, { ...field, values: [] }); names.push(name); }
    }
  }
  const keys = names.filter(name => tables.every(frame => frame.fields.some(field => displayName(field, frame) === name)));
  const rows: Record<string, Cell>[] = [];
  const byKey = new Map<string, Record<string, Cell>[]>();
  for (const frame of tables) {
    for (let at = 0; at < frame.length; at++) {
      const row: Record<string, Cell> = {};
      for (const field of frame.fields) row[displayName(field, frame)] = field.values[at];
      const key = JSON.stringify(keys.map(name => row[name]));
      const mates = byKey.get(key) ?? [];
      const mate = mates.find(each => Object.keys(row).every(name => each[name] === undefined || each[name] === row[name]));
      if (mate) { Object.assign(mate, row); continue; }
      mates.push(row);
      byKey.set(key, mates);
      rows.push(row);
    }
  }
  return [table(names.map(name => ({ ...columns.get(name)!, values: rows.map(row => row[name] ?? null) })))];
}

function join(frames: Frame[], { byField, mode = 'outer' }: Json): Frame[] {
  const tables = frames.map(asTable);
  const keyOf = (frame: Frame): Field | undefined =>
    byField ? frame.fields.find(field => displayName(field, frame) === byField || field.name === byField) : frame.fields.find(field => field.type === 'time');
  const joined = tables.filter(frame => keyOf(frame));
  if (!joined.length) return frames;
  const order = new Map<Cell, number>();
  const counts = new Map<Cell, number>();
  for (const frame of joined) {
    const seen = new Set<Cell>();
    for (const key of keyOf(frame)!.values) {
      if (!order.has(key)) order.set(key, order.size);
      if (!seen.has(key)) counts.set(key, (counts.get(key) ?? 0) + 1);
      seen.add(key);
    }
  }
  let keys = [...order.keys()];
  if (mode === 'inner') keys = keys.filter(key => counts.get(key) === joined.length);
  if (keyOf(joined[0])!.type === 'time') keys.sort((a, b) => Number(a) - Number(b));
  const uses = new Map<string, number>();
  const keyField = keyOf(joined[0])!;
  for (const frame of joined) for (const field of frame.fields) if (field !== keyOf(frame)) uses.set(field.name, (uses.get(field.name) ?? 0) + 1);
  const given = new Map<string, number>();
  const fields: Field[] = [{ ...keyField, values: keys }];
  for (const frame of joined) {
    const rowOf = new Map(keyOf(frame)!.values.map((key, at) => [key, at]));
    for (const field of frame.fields) {
      if (field === keyOf(frame)) continue;
      const count = (given.get(field.name) ?? 0) + 1;
      given.set(field.name, count);
      const name = (uses.get(field.name) ?? 0) > 1 ? `${field.name} ${count}` : field.name;
      const values = keys.map(key => { const row = rowOf.get(key); return row === undefined ? null : field.values[row]; });
      fields.push({ ...field, name, values });
    }
  }
  return [table(fields)];
}

function filterByName(frames: Frame[], { include, exclude }: Json): Frame[] {
  const matcher = (rule: Json): ((name: string) => boolean) | undefined => {
    if (!rule) return undefined;
    const names = Array.isArray(rule.names) ? new Set<string>(rule.names) : undefined;
    const wanted = rule.pattern ? pattern(String(rule.pattern)) : undefined;
    return names || wanted ? name => (names?.has(name) ?? false) || (wanted?.test(name) ?? false) : undefined;
  };
  const [takes, drops] = [matcher(include), matcher(exclude)];
  return map(frames, (field, frame) => {
    const name = displayName(field, frame);
    return (takes && !takes(name)) || drops?.(name) ? undefined : field;
  }).filter(frame => frame.fields.length);
}

function groupBy(frames: Frame[], { fields: rules = {} }: Json): Frame[] {
  return frames.map(asTable).flatMap(frame => {
    const keys = frame.fields.filter(field => rules[displayName(field, frame)]?.operation === 'groupby');
    if (!keys.length) return [];
    const groups = new Map<string, number[]>();
    for (let at = 0; at < frame.length; at++) {
      const key = JSON.stringify(keys.map(field => field.values[at]));
      const rows = groups.get(key);
      if (rows) rows.push(at);
      else groups.set(key, [at]);
    }
    const all = [...groups.values()];
    const fields = keys.map(field => pick(field, all.map(rows => rows[0])));
    for (const field of frame.fields) {
      const name = displayName(field, frame);
      const rule = rules[name];
      if (rule?.operation !== 'aggregate') continue;
      for (const how of rule.aggregations ?? []) {
        fields.push({
          ...field, name: `${name} (${how})`, legend: undefined, type: 'number',
          values: all.map(rows => reduce(rows.map(row => field.values[row]), how)),
        });
      }
    }
    return [table(fields, frame.refId)];
  });
}

function sortBy(frames: Frame[], { sort }: Json): Frame[] {
  const rule = Array.isArray(sort) ? sort[0] : sort;
  if (!rule?.field) return frames;
  return frames.map(frame => {
    const by = frame.fields.find(field => displayName(field, frame) === rule.field);
    if (!by) return frame;
    const rows = sortedRows(by.values, rule.desc === true);
    return { ...frame, fields: frame.fields.map(field => pick(field, rows)) };
  });
}

/** The row numbers in the order of a column; empty cells last. */
export function sortedRows(values: readonly Cell[], down: boolean): number[] {
  const rows = values.map((_, at) => at);
  const collator = new Intl.Collator('en', { numeric: true });
  const empty = (value: Cell): boolean => value === null || value === undefined || value === '' || Number.isNaN(value);
  return rows.sort((a, b) => {
    const [x, y] = [values[a], values[b]];
    if (empty(x) || empty(y)) return Number(empty(x)) - Number(empty(y));
    const order = typeof x === 'number' && typeof y === 'number' ? x - y : collator.compare(String(x), String(y));
    return down ? -order : order;
  });
}

function reduceAll(frames: Frame[], { reducers = ['max'], mode, includeTimeField, labelsToFields: withLabels }: Json): Frame[] {
  if (mode === 'reduceFields') {
    return frames.map(frame => ({
      ...frame, shape: 'table' as const, length: 1,
      fields: frame.fields.filter(field => field.type === 'number' || includeTimeField).map(field => ({ ...field, values: [reduce(field.values, reducers[0])] })),
    }));
  }
  const values = frames.flatMap(frame => frame.fields.filter(field => field.type === 'number').map(field => ({ field, frame })));
  const labels = withLabels ? [...new Set(values.flatMap(({ field }) => Object.keys(field.labels ?? {})))] : [];
  return [table([
    { name: 'Field', type: 'string', config: {}, values: values.map(({ field, frame }) => displayName(field, frame)) },
    ...labels.map((name): Field => ({ name, type: 'string', config: {}, values: values.map(({ field }) => field.labels?.[name] ?? '') })),
    ...(reducers as string[]).map((how): Field => ({
      name: REDUCER_NAMES[how] ?? how, type: 'number', config: values[0]?.field.config ?? {}, values: values.map(({ field }) => reduce(field.values, how)),
    })),
  ])];
}

const OPERATORS: Record<string, (a: number, b: number) => number> = {
  '+': (a, b) => a + b, '-': (a, b) => a - b, '*': (a, b) => a * b, '/': (a, b) => a / b, '**': (a, b) => a ** b, '%': (a, b) => a % b,
};

function calculate(frames: Frame[], options: Json): Frame[] {
  const source = frames.length > 1 && frames.every(frame => frame.shape === 'series') ? join(frames, { byField: 'Time' }) : frames;
  return source.map(frame => {
    const named = (name: Json): Field | undefined =>
      frame.fields.find(field => displayName(field, frame) === (typeof name === 'object' ? name?.matcher?.options : name));
    const side = (name: Json): ((at: number) => number) => {
      const field = named(name);
      if (field) return at => (typeof field.values[at] === 'number' ? (field.values[at] as number) : Number.NaN);
      const constant = Number(typeof name === 'object' ? name?.fixed : name);
      return () => constant;
    };
    let values: Cell[];
    let alias: string = options.alias || '';
    if (options.mode === 'binary' || options.binary) {
      const { left, right, operator = options.binary?.operation ?? '+' } = options.binary ?? {};
      const [a, b, run] = [side(left), side(right), OPERATORS[operator] ?? OPERATORS['+']];
      values = Array.from({ length: frame.length }, (_, at) => { const value = run(a(at), b(at)); return Number.isNaN(value) ? null : value; });
      alias ||= `${typeof left === 'object' ? left?.matcher?.options : left} ${operator} ${typeof right === 'object' ? right?.matcher?.options : right}`;
    } else if (options.mode === 'index') {
      values = Array.from({ length: frame.length }, (_, at) => at);
      alias ||= 'Row';
    } else {
      const { include, reducer = 'sum' } = options.reduce ?? {};
      const wanted = frame.fields.filter(field => field.type === 'number' && (!include?.length || include.includes(displayName(field, frame))));
      values = Array.from({ length: frame.length }, (_, at) => reduce(wanted.map(field => field.values[at]), reducer));
      alias ||= REDUCER_NAMES[reducer] ?? reducer;
    }
    const field: Field = { name: alias, type: 'number', values, config: {} };
    const kept = options.replaceFields ? frame.fields.filter(each => each.type === 'time') : frame.fields;
    return { ...frame, shape: 'table' as const, fields: [...kept, field] };
  });
}

function rename(frames: Frame[], { regex = '', renamePattern = '' }: Json): Frame[] {
  const wanted = pattern(String(regex));
  return map(frames, (field, frame) => {
    const name = displayName(field, frame);
    if (field.type === 'time' && frame.shape === 'series' || !wanted.test(name)) return field;
    const renamed = name.replace(wanted, String(renamePattern));
    return { ...field, name: renamed, legend: undefined, config: { ...field.config, displayName: renamed } };
  });
}

function labelsToFields(frames: Frame[], { mode, keepLabels, valueLabel }: Json): Frame[] {
  if (mode === 'rows') {
    return frames.flatMap(frame => frame.fields.filter(field => field.labels).map(field => {
      const pairs = Object.entries(field.labels!).filter(([key]) => !keepLabels?.length || keepLabels.includes(key));
      return table([
        { name: 'label', type: 'string', config: {}, values: pairs.map(([key]) => key) },
        { name: 'value', type: 'string', config: {}, values: pairs.map(([, value]) => value) },
      ], frame.refId);
    }));
  }
  return merge(frames.map(frame => {
    const labelled = frame.fields.find(field => field.labels);
    const labels = Object.entries(labelled?.labels ?? {}).filter(([key]) => key !== '__name__' && (!keepLabels?.length || keepLabels.includes(key)));
    const column = ([name, value]: [string, string]): Field => ({ name, type: 'string', config: {}, values: Array.from({ length: frame.length }, () => value) });
    const values = frame.fields.map(field => (field.labels ? { ...field, legend: undefined, name: (valueLabel && field.labels[valueLabel]) || field.name, labels: undefined } : field));
    return { ...frame, shape: 'table' as const, fields: [...values.filter(field => field.type === 'time'), ...labels.map(column), ...values.filter(field => field.type !== 'time')] };
  }));
}

function seriesToRows(frames: Frame[]): Frame[] {
  const rows = frames.flatMap(frame => {
    const time = frame.fields.find(field => field.type === 'time');
    return frame.fields.filter(field => field.type === 'number').flatMap(field =>
      field.values.map((value, at) => ({ time: time?.values[at] ?? null, metric: displayName(field, frame), value })));
  }).sort((a, b) => Number(b.time) - Number(a.time));
  return [table([
    { name: 'Time', type: 'time', config: {}, values: rows.map(row => row.time) },
    { name: 'Metric', type: 'string', config: {}, values: rows.map(row => row.metric) },
    { name: 'Value', type: 'number', config: {}, values: rows.map(row => row.value) },
  ])];
}

function filterByValue(frames: Frame[], { filters = [], type = 'include', match = 'any' }: Json): Frame[] {
  return frames.map(asTable).map(frame => {
    const passes = (at: number): boolean => {
      const found = (filters as Json[]).map(rule => {
        const value = frame.fields.find(field => displayName(field, frame) === rule.fieldName)?.values[at];
        const wanted = rule.config?.options?.value;
        switch (rule.config?.id) {
          case 'isNull': return value === null || value === undefined;
          case 'isNotNull': return value !== null && value !== undefined;
          case 'greater': return Number(value) > Number(wanted);
          case 'greaterOrEqual': return Number(value) >= Number(wanted);
          case 'lower': return Number(value) < Number(wanted);
          case 'lowerOrEqual': return Number(value) <= Number(wanted);
          case 'equal': return String(value) === String(wanted);
          case 'notEqual': return String(value) !== String(wanted);
          case 'regex': return pattern(String(wanted)).test(String(value));
          case 'substring': return String(value).toLowerCase().includes(String(wanted).toLowerCase());
          default: return true;
        }
      });
      const all = match === 'all' ? found.every(Boolean) : found.some(Boolean);
      return type === 'include' ? all : !all;
    };
    const rows = Array.from({ length: frame.length }, (_, at) => at).filter(passes);
    return { ...frame, length: rows.length, fields: frame.fields.map(field => pick(field, rows)) };
  });
}

function limit(frames: Frame[], { limitField = 10 }: Json): Frame[] {
  const most = Number(limitField);
  return frames.map(frame => ({ ...frame, length: Math.min(frame.length, most), fields: frame.fields.map(field => ({ ...field, values: field.values.slice(0, most) })) }));
}

const KINDS: Record<string, Transform> = {
  organize, merge, joinByField: join, seriesToColumns: join, renameByRegex: rename, filterFieldsByName: filterByName, groupBy, sortBy,
  reduce: reduceAll, calculateField: calculate, labelsToFields, seriesToRows, filterByValue, limit,
  filterByRefId: (frames, { include = '' }) => { const wanted = pattern(`/^(?:${include})$/`); return frames.filter(frame => wanted.test(frame.refId)); },
  convertFieldType: frames => frames, append: frames => frames, ensureColumns: merge,
};

/** Applies a panel's transformations in turn; `unknown` collects the names of those that were passed over. */
export function transform(frames: Frame[], steps: readonly { id: string; options?: Json; disabled?: boolean }[], unknown: string[] = []): Frame[] {
  let found = frames;
  for (const { id, options, disabled } of steps) {
    const run = KINDS[id];
    if (!run && !disabled) unknown.push(id);
    if (run && !disabled) found = run(found, options ?? {});
  }
  return found;
}
