/** A dashboard's variables: their options, what is chosen, and in which order they depend on each other. */

import type { Json, Variable } from './dashboard.ts';
import { interpolate, references, type Scope, type Value } from './interpolate.ts';
import { autoInterval } from './interval.ts';
import type { Span } from './time.ts';

export const ALL = '$__all';
const OPTIONS_MAX = 50_000;

export interface Option {
  text: string;
  value: string;
}

export interface Chosen {
  variable: Variable;
  options: Option[];
  /** The chosen values; [ALL] stands for every option. */
  values: string[];
  error?: string;
}

export type State = ReadonlyMap<string, Chosen>;

/** What a query variable asks the server. */
export type Lookup =
  | { kind: 'values'; source: 'promql' | 'logql'; label: string; match?: string }
  | { kind: 'names'; source: 'promql' | 'logql'; match?: string }
  | { kind: 'metrics'; pattern: string }
  | { kind: 'result'; expr: string }
  | { kind: 'series'; match: string };

/** Reads the query of a query variable, its own variables already put in; undefined when it asks nothing. */
export function parseLookup(query: Json, source: 'promql' | 'logql'): Lookup | undefined {
  if (query && typeof query === 'object') {
    if (source === 'logql' && (query.label !== undefined || query.type !== undefined)) {
      return query.type === 0 ? { kind: 'names', source } : query.label ? { kind: 'values', source, label: query.label, match: query.stream || undefined } : undefined;
    }
    query = query.query ?? query.expr ?? '';
  }
  const text = String(query).trim();
  if (!text) return undefined;
  const call = /^(label_values|label_names|metrics|query_result)\s*\(([\s\S]*)\)\s*$/.exec(text);
  if (!call) return { kind: 'series', match: text };
  const [, name, inside] = call;
  const argument = inside.trim();
  if (name === 'metrics') return { kind: 'metrics', pattern: argument.replace(/^["']|["']$/g, '') };
  if (name === 'query_result') return { kind: 'result', expr: argument };
  if (name === 'label_names') return { kind: 'names', source, match: argument || undefined };
  const comma = /^([\s\S]*),\s*([a-zA-Z_$][\w${}:]*)$/.exec(argument);
  if (!comma) return { kind: 'values', source, label: argument };
  return { kind: 'values', source, label: comma[2], match: comma[1].trim() || undefined };
}

/** Orders variables so that each comes after those it refers to; what goes round in a circle keeps its place. */
export function inOrder(variables: readonly Variable[]): Variable[] {
  const byName = new Map(variables.map(each => [each.name, each]));
  const done = new Set<string>();
  const found: Variable[] = [];
  const visit = (variable: Variable, path: Set<string>): void => {
    if (done.has(variable.name) || path.has(variable.name)) return;
    const next = new Set(path).add(variable.name);
    for (const name of dependsOn(variable)) {
      const needed = byName.get(name);
      if (needed) visit(needed, next);
    }
    done.add(variable.name);
    found.push(variable);
  };
  for (const variable of variables) visit(variable, new Set());
  return found;
}

/** The names of the variables that a variable refers to. */
export function dependsOn(variable: Variable): string[] {
  const text = [JSON.stringify(variable.query ?? ''), variable.regex, JSON.stringify(variable.datasource ?? '')].join(' ');
  return references(text).filter(name => name !== variable.name && !name.startsWith('__'));
}

/** Filters by the variable's regex (its groups, or its groups "text" and "value", cut the option out), sorts, and removes doubles. */
export function shapeOptions(values: readonly string[], variable: Pick<Variable, 'regex' | 'sort'>): Option[] {
  let options: Option[] = values.map(value => ({ text: value, value }));
  const pattern = compile(variable.regex);
  if (pattern) {
    options = options.flatMap(({ value }) => {
      const matches = pattern.global ? [...value.matchAll(pattern)] : [pattern.exec(value)].filter(match => match !== null);
      return matches.map(match => {
        const { text, value: named } = match.groups ?? {};
        const cut = named ?? text ?? match.slice(1).find(group => group !== undefined) ?? match[0];
        return { text: text ?? cut, value: named ?? cut };
      });
    });
  }
  const seen = new Set<string>();
  options = options.filter(({ value }) => !seen.has(value) && seen.add(value)).slice(0, OPTIONS_MAX);
  return sortOptions(options, variable.sort);
}

function compile(regex: string): RegExp | undefined {
  if (!regex || regex.length > 1000) return undefined;
  const slashed = /^\/([\s\S]*)\/([a-z]*)$/.exec(regex);
  try {
    return slashed ? new RegExp(slashed[1], slashed[2].replace(/[^gimsu]/g, '')) : new RegExp(`^${regex}$`);
  } catch {
    return undefined;
  }
}

function sortOptions(options: Option[], sort: number): Option[] {
  if (!sort) return options;
  const number = (text: string): number => Number.parseFloat(/-?\d+(\.\d+)?/.exec(text)?.[0] ?? 'Infinity');
  const natural = new Intl.Collator('en', { numeric: true });
  const compare: ((a: Option, b: Option) => number)[] = [
    (a, b) => (a.text < b.text ? -1 : a.text > b.text ? 1 : 0),
    (a, b) => number(a.text) - number(b.text),
    (a, b) => { const [x, y] = [a.text.toLowerCase(), b.text.toLowerCase()]; return x < y ? -1 : x > y ? 1 : 0; },
    (a, b) => natural.compare(a.text, b.text),
  ];
  const sorted = [...options].sort(compare[Math.floor((sort - 1) / 2)] ?? compare[0]);
  return sort % 2 === 0 ? sorted.reverse() : sorted;
}

/** The options of a variable that needs no server. */
export function ownOptions(variable: Variable): Option[] {
  if (variable.type === 'constant' || variable.type === 'textbox') {
    const value = String(variable.query ?? '');
    return [{ text: value, value }];
  }
  if (variable.type === 'interval') {
    const steps = String(variable.query ?? '').split(',').map(each => each.trim()).filter(Boolean).map(value => ({ text: value, value }));
    return variable.auto ? [{ text: 'auto', value: `$__auto_interval_${variable.name}` }, ...steps] : steps;
  }
  if (variable.type === 'datasource') {
    const kind = String(variable.query ?? 'prometheus');
    return [{ text: kind === 'loki' ? 'Logs' : 'Metrics', value: kind }];
  }
  if (variable.type !== 'custom') return variable.options.filter(each => each.value !== ALL);
  return splitCustom(String(variable.query ?? '')).map(part => {
    const named = /^(.*\S)\s+:\s+(.*)$/.exec(part);
    return named ? { text: named[1], value: named[2] } : { text: part, value: part };
  });
}

function splitCustom(text: string): string[] {
  return (text.match(/(?:\\,|[^,])+/g) ?? []).map(part => part.trim().replaceAll(String.raw`\,`, ',')).filter(Boolean);
}

/** Chooses what is chosen: what was asked for if it is an option, else what the dashboard saved, else All or the first option. */
export function choose(variable: Variable, options: readonly Option[], asked: readonly string[] | undefined): string[] {
  const saved = variable.current?.value;
  const savedValues: string[] = Array.isArray(saved) ? saved.map(String) : saved === undefined || saved === null || saved === '' ? [] : [String(saved)];
  if (variable.type === 'textbox') return [asked?.[0] ?? savedValues[0] ?? String(variable.query ?? '')];
  if (variable.type === 'constant' || variable.type === 'datasource') return options.slice(0, 1).map(option => option.value);
  const known = new Set(options.map(option => option.value));
  for (const wanted of [asked, savedValues]) {
    if (!wanted?.length) continue;
    if (variable.includeAll && wanted.some(value => value === ALL || value === 'All' && !known.has('All'))) return [ALL];
    const byText = wanted.map(value => (known.has(value) ? value : options.find(option => option.text === value)?.value)).filter(value => value !== undefined);
    if (byText.length) return variable.multi ? byText : byText.slice(0, 1);
    if (wanted === asked && variable.type === 'custom') return [...wanted];
  }
  if (variable.includeAll) return [ALL];
  return options.slice(0, 1).map(option => option.value);
}

/** What a chosen variable stands for in texts and queries. */
export function valueOf(chosen: Chosen, span?: Span): Value {
  const { variable, options, values } = chosen;
  const many = variable.multi || variable.includeAll;
  const typed = !many && variable.type !== 'query';
  if (values.includes(ALL)) {
    if (variable.allValue) return { values: [variable.allValue], raw: true, text: 'All', many };
    return { values: options.map(option => option.value), text: 'All', many };
  }
  if (variable.type === 'interval' && values[0]?.startsWith('$__auto') && span) {
    return { values: [autoInterval(span, variable.autoCount, variable.autoMin)], text: 'auto', typed };
  }
  const texts = values.map(value => options.find(option => option.value === value)?.text ?? value);
  return { values, text: texts.join(' + '), many, typed };
}

/** Looks names up among the chosen variables, then among the built-in ones. */
export function scopeOf(state: State, own: Record<string, string> = {}, fixed: Record<string, string> = {}, span?: Span): Scope {
  return name => {
    if (fixed[name] !== undefined) return { values: [fixed[name]], text: fixed[name], many: true };
    const chosen = state.get(name);
    if (chosen) return valueOf(chosen, span);
    if (name.startsWith('__auto_interval_')) {
      const named = state.get(name.slice('__auto_interval_'.length));
      if (named && span) return autoInterval(span, named.variable.autoCount, named.variable.autoMin);
    }
    return own[name];
  };
}

/** The URL parameters that keep the choice: var-name=value, once for each value. */
export function toParams(state: State): [string, string][] {
  return [...state.values()]
    .filter(({ variable }) => variable.type !== 'constant' && variable.type !== 'datasource')
    .flatMap(({ variable, values }) => values.map((value): [string, string] => [`var-${variable.name}`, value]));
}

/** What the URL asks of a variable; undefined when it says nothing. */
export function fromParams(params: URLSearchParams, name: string): string[] | undefined {
  const found = params.getAll(`var-${name}`).map(value => (value === 'All' ? ALL : value));
  return found.length ? found : undefined;
}

/** Puts variables into a lookup's query, whichever form it has. */
export function interpolateQuery(query: Json, scope: Scope): Json {
  if (typeof query === 'string') return interpolate(query, scope, 'promql');
  if (!query || typeof query !== 'object') return query;
  return Object.fromEntries(Object.entries(query).map(([key, value]) => [key, typeof value === 'string' ? interpolate(value, scope, 'promql') : value]));
}
