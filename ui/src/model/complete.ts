/** What could be typed next in a PromQL or LogQL query. */

export type Wanted =
  | { kind: 'word'; prefix: string; from: number }
  | { kind: 'label'; prefix: string; from: number; metric: string; grouping?: boolean }
  | { kind: 'value'; prefix: string; from: number; label: string; metric: string }
  | { kind: 'stage'; prefix: string; from: number }
  | { kind: 'duration'; prefix: string; from: number };

export const FUNCTIONS = [
  'abs', 'absent', 'absent_over_time', 'avg_over_time', 'ceil', 'changes', 'clamp', 'clamp_max', 'clamp_min', 'count_over_time', 'day_of_month', 'day_of_week',
  'days_in_month', 'delta', 'deriv', 'exp', 'floor', 'histogram_quantile', 'holt_winters', 'hour', 'idelta', 'increase', 'irate', 'label_join', 'label_replace',
  'last_over_time', 'ln', 'log10', 'log2', 'max_over_time', 'min_over_time', 'minute', 'month', 'predict_linear', 'present_over_time', 'quantile_over_time', 'rate',
  'resets', 'round', 'scalar', 'sgn', 'sort', 'sort_desc', 'sqrt', 'stddev_over_time', 'stdvar_over_time', 'sum_over_time', 'time', 'timestamp', 'vector', 'year',
];
export const AGGREGATIONS = ['avg', 'bottomk', 'count', 'count_values', 'group', 'max', 'min', 'quantile', 'stddev', 'stdvar', 'sum', 'topk'];
export const KEYWORDS = ['and', 'bool', 'by', 'group_left', 'group_right', 'ignoring', 'offset', 'on', 'or', 'unless', 'without'];
export const LOG_FUNCTIONS = ['avg', 'bytes_over_time', 'bytes_rate', 'count', 'count_over_time', 'max', 'min', 'quantile_over_time', 'rate', 'sum', 'sum_over_time', 'topk', 'by', 'without'];
export const STAGES = ['|= ""', '!= ""', '|~ ""', '!~ ""', '| json', '| logfmt', '| line_format ""', '| label_format ', '| pattern ""', '| regexp ""', '| unwrap ', '| level="error"'];
export const DURATIONS = ['1m', '5m', '15m', '30m', '1h', '6h', '1d'];

/** Finds what the caret stands in; undefined inside a plain string or a number. */
export function wantedAt(text: string, caret: number, logs = false): Wanted | undefined {
  const before = text.slice(0, caret);
  const word = /[a-zA-Z_:][\w:.]*$/.exec(before)?.[0] ?? '';
  const from = caret - word.length;
  const open = openBrace(before);
  if (open >= 0) {
    const inside = before.slice(open + 1);
    const metric = /([a-zA-Z_:][\w:]*)\s*$/.exec(before.slice(0, open))?.[1] ?? '';
    const value = /([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)$/.exec(inside);
    if (value) return { kind: 'value', label: value[1], prefix: value[2], from: caret - value[2].length, metric };
    return /(^|[,{])\s*\w*$/.test(inside) || inside.trim() === '' ? { kind: 'label', prefix: word, from, metric } : undefined;
  }
  if (quotes(before) % 2) return undefined;
  const grouping = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)$/.exec(before);
  if (grouping) return { kind: 'label', prefix: word, from, metric: /([a-zA-Z_:][\w:]*)\s*[{[]/.exec(text)?.[1] ?? '', grouping: true };
  const range = /\[(\w*)$/.exec(before);
  if (range) return { kind: 'duration', prefix: range[1], from: caret - range[1].length };
  if (logs) {
    const stage = /\}[^[\]]*?((?:\|=?~?|![=~]?)\s*\w*)$/.exec(before);
    if (stage) return { kind: 'stage', prefix: stage[1], from: caret - stage[1].length };
  }
  if (!word && /\d$/.test(before)) return undefined;
  return { kind: 'word', prefix: word, from };
}

function quotes(text: string): number {
  return (text.replace(/\\./g, '').match(/"/g) ?? []).length;
}

/** Where the innermost unclosed brace is, quotes passed over; -1 when there is none. */
function openBrace(text: string): number {
  let found = -1;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const letter = text[at];
    if (letter === '\\') at++;
    else if (letter === '"') quoted = !quoted;
    else if (!quoted && letter === '{') found = at;
    else if (!quoted && letter === '}') found = -1;
  }
  return found;
}

/** Orders candidates: those that begin with the prefix, then those that contain it. */
export function rank(candidates: readonly string[], prefix: string, most = 60): string[] {
  if (!prefix) return candidates.slice(0, most);
  const wanted = prefix.toLowerCase();
  const starts: string[] = [];
  const holds: string[] = [];
  for (const each of candidates) {
    const lower = each.toLowerCase();
    if (lower === wanted && each === prefix) continue;
    if (lower.startsWith(wanted)) starts.push(each);
    else if (lower.includes(wanted)) holds.push(each);
    if (starts.length >= most) break;
  }
  return [...starts, ...holds].slice(0, most);
}
