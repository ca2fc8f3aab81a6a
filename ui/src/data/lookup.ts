/** Asks the server for the options of query variables. */

import { data, get } from '../api.ts';
import { datasourceKind, type Dashboard, type Variable } from '../model/dashboard.ts';
import { builtIns, intervals } from '../model/interval.ts';
import { interpolate } from '../model/interpolate.ts';
import type { Span } from '../model/time.ts';
import { choose, dependsOn, fromParams, inOrder, interpolateQuery, ownOptions, parseLookup, scopeOf, shapeOptions, type Chosen, type Lookup, type State } from '../model/vars.ts';
import { pattern } from './transform.ts';
import { seriesText } from './frame.ts';

/** Gives the raw values of a lookup. */
export async function lookUp(lookup: Lookup, span: Span, abort?: AbortSignal): Promise<string[]> {
  const seconds = { start: (span.from / 1000).toFixed(3), end: (span.to / 1000).toFixed(3) };
  const nanos = { start: `${Math.floor(span.from)}000000`, end: `${Math.floor(span.to)}000000` };
  if (lookup.kind === 'values' || lookup.kind === 'names') {
    const part = lookup.kind === 'names' ? 'labels' : `label/${encodeURIComponent(lookup.label)}/values`;
    if (lookup.source === 'logql') return (await data<string[] | null>(`/loki/api/v1/${part}`, { ...nanos, query: lookup.match }, abort)) ?? [];
    return data<string[]>(`/api/v1/${part}`, { ...seconds, 'match[]': lookup.match }, abort);
  }
  if (lookup.kind === 'metrics') {
    const names = await data<string[]>('/api/v1/label/__name__/values', seconds, abort);
    const wanted = pattern(lookup.pattern || '.*');
    return names.filter(name => wanted.test(name));
  }
  if (lookup.kind === 'series') return (await data<Record<string, string>[]>('/api/v1/series', { ...seconds, 'match[]': lookup.match }, abort)).map(seriesText);
  const { data: found } = await get<any>('/api/v1/query', { query: lookup.expr, time: seconds.end }, abort);
  if (found.resultType === 'scalar' || found.resultType === 'string') return [String(found.result[1])];
  return (found.result as any[]).map(({ metric, value, values }) => {
    const [time, sample] = value ?? values?.[values.length - 1] ?? [0, ''];
    return `${seriesText(metric)} ${sample} ${Math.round(time * 1000)}`;
  });
}

async function load(variable: Variable, dashboard: Dashboard, before: State, asked: string[] | undefined, span: Span, abort: AbortSignal): Promise<Chosen> {
  if (variable.type !== 'query') {
    const options = ownOptions(variable);
    return { variable, options, values: choose(variable, options, asked) };
  }
  const scope = scopeOf(before, builtIns(span, intervals(span, 1000)), {}, span);
  const kind = datasourceKind(variable.datasource, dashboard.source?.dashboard ?? dashboard.source) === 'logql' ? 'logql' : 'promql';
  try {
    const lookup = parseLookup(interpolateQuery(variable.query, scope), kind);
    const values = lookup ? await lookUp(lookup, span, abort) : [];
    const options = shapeOptions(values, { ...variable, regex: interpolate(variable.regex, scope) });
    return { variable, options, values: choose(variable, options, asked) };
  } catch (error) {
    const kept = asked ?? [];
    return { variable, options: kept.map(value => ({ text: value, value })), values: kept, error: (error as Error).message };
  }
}

/**
 * Finds options and choices of all variables; those that do not depend on each other at the same time.
 *
 * before   what was chosen and found before
 * changed  names whose dependents must be asked again; undefined asks for all
 */
export async function loadVariables(dashboard: Dashboard, params: URLSearchParams, span: Span, abort: AbortSignal, before?: State, changed?: ReadonlySet<string>): Promise<State> {
  const ordered = inOrder(dashboard.variables.filter(each => each.type !== 'adhoc' && each.type !== 'groupby' && each.name));
  const stale = new Set(changed);
  const pending = new Map<string, Promise<Chosen>>();
  const done = new Map<string, Chosen>();
  for (const variable of ordered) {
    const needs = dependsOn(variable).filter(name => pending.has(name));
    const old = before?.get(variable.name);
    const isStale = !changed || changed.has(variable.name) || needs.some(name => stale.has(name));
    if (isStale) stale.add(variable.name);
    const asked = fromParams(params, variable.name) ?? old?.values;
    const promise = Promise.all(needs.map(name => pending.get(name)!)).then(async () => {
      const found = isStale || !old ? await load(variable, dashboard, done, asked, span, abort) : { ...old, values: choose(variable, old.options, asked) };
      done.set(variable.name, found);
      return found;
    });
    pending.set(variable.name, promise);
  }
  await Promise.all(pending.values());
  return new Map(dashboard.variables.filter(each => done.has(each.name)).map(each => [each.name, done.get(each.name)!]));
}
