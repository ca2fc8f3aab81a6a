/** Puts the values of variables into texts: $name, ${name}, ${name:format}, ${name.field}, [[name]], [[name:format]]. */

export interface Value {
  /** The chosen values; for All, every option's, or what `allValue` says. */
  values: string[];
  text?: string;
  /** Whether several values may be chosen, so that a query must be able to take many. */
  many?: boolean;
  /** Stands as it is, whatever the format: a variable's own "All" value. */
  raw?: boolean;
  /** Typed by a person rather than found in labels: may be a piece of a query, so quotes in it are not escaped. */
  typed?: boolean;
  /** What ${name.field} gives. */
  fields?: Record<string, string>;
}

export type Scope = (name: string) => Value | string | undefined;
export type Style = 'promql' | 'logql' | 'text' | 'url';

const REFERENCE = /\$(\w+)|\[\[(\w+)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:}]+))?(?::([^}]+))?\}/g;

/** The names that a text refers to. */
export function references(text: string): string[] {
  return [...text.matchAll(REFERENCE)].map(match => match[1] ?? match[2] ?? match[4]);
}

const escapeRegex = (text: string): string => text.replace(/[\\^$.|?*+()[\]{}]/g, String.raw`\$&`);
// Within a quoted string of PromQL each backslash stands twice.
const escapeQuotedRegex = (text: string): string => escapeRegex(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"');

function byStyle({ values, many, raw, typed, text }: Value, style: Style): string {
  if (raw) return values[0] ?? '';
  if (style === 'promql' || style === 'logql') {
    if (!many && typed) return values.join('|');
    if (!many) return values.join('|').replaceAll('\\', '\\\\').replaceAll('"', '\\"');
    const escaped = values.map(escapeQuotedRegex);
    return escaped.length === 1 ? escaped[0] : `(${escaped.join('|')})`;
  }
  if (style === 'url') return values.map(encodeURIComponent).join(',');
  return values.length === 1 ? (text ?? values[0]) : values.length ? `{${values.join(',')}}` : '';
}

function byFormat(name: string, value: Value, format: string): string {
  const { values, text } = value;
  if (value.raw && !['text', 'queryparam'].includes(format)) return values[0] ?? '';
  switch (format) {
    case 'raw': case 'glob': return values.length > 1 ? `{${values.join(',')}}` : (values[0] ?? '');
    case 'csv': return values.join(',');
    case 'pipe': return values.join('|');
    case 'distributed': return values.map((each, at) => (at ? `${name}=${each}` : each)).join(',');
    case 'regex': return values.length === 1 ? escapeRegex(values[0]) : `(${values.map(escapeRegex).join('|')})`;
    case 'lucene': return values.length === 1 ? values[0] : `(${values.map(each => `"${each}"`).join(' OR ')})`;
    case 'json': return JSON.stringify(values.length === 1 ? values[0] : values);
    case 'singlequote': return values.map(each => `'${each.replaceAll("'", String.raw`\'`)}'`).join(',');
    case 'doublequote': return values.map(each => `"${each.replaceAll('"', String.raw`\"`)}"`).join(',');
    case 'sqlstring': return values.map(each => `'${each.replaceAll("'", "''")}'`).join(',');
    case 'percentencode': return encodeURIComponent(values.length > 1 ? `{${values.join(',')}}` : (values[0] ?? ''));
    case 'queryparam': return values.map(each => `var-${encodeURIComponent(name)}=${encodeURIComponent(each)}`).join('&');
    case 'text': return text ?? values.join(' + ');
    case 'date:iso': return new Date(Number(values[0])).toISOString();
    case 'date:seconds': return String(Math.floor(Number(values[0]) / 1000));
    case 'date': return new Date(Number(values[0])).toISOString();
    default: return values.join(',');
  }
}

/** Puts values in; a name that the scope does not know stays as it stands. */
export function interpolate(text: string, scope: Scope, style: Style = 'text'): string {
  if (!text || (!text.includes('$') && !text.includes('[['))) return text;
  return text.replace(REFERENCE, (whole, plain?: string, old?: string, oldFormat?: string, name?: string, field?: string, format?: string) => {
    const wanted = plain ?? old ?? name ?? '';
    const found = scope(wanted);
    if (found === undefined) return whole;
    const value: Value = typeof found === 'string' ? { values: [found], raw: true } : found;
    if (field && value.fields) return value.fields[field] ?? '';
    const wantedFormat = format ?? oldFormat;
    return wantedFormat ? byFormat(wanted, value, wantedFormat) : byStyle(value, style);
  });
}
