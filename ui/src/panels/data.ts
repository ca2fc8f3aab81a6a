/** Asks a panel's queries and turns the answers into what it draws. */

import { askBatch, type Query } from '../api.ts';
import { toFrames, toLines, type Answer } from '../data/answers.ts';
import { configure } from '../data/overrides.ts';
import { transform } from '../data/transform.ts';
import type { Panel, Target } from '../model/dashboard.ts';
import { interpolate, type Scope } from '../model/interpolate.ts';
import { builtIns, intervals, stepFor } from '../model/interval.ts';
import { parseDuration, parseRange, type Span } from '../model/time.ts';
import { scopeOf, type State } from '../model/vars.ts';
import type { PanelData } from './view.ts';

export interface Asked {
  panel: Panel;
  span: Span;
  state: State;
  /** The panel's width in pixels: no more points are asked for than it can show. */
  width: number;
  scrapeMs: number;
}

const SERIES_MAX = 500;

/** The panel's own time range, when it has one. */
export function panelSpan(panel: Panel, span: Span, scope: Scope): Span {
  let found = span;
  const back = panel.timeFrom && interpolate(panel.timeFrom, scope);
  if (back) {
    const own = parseRange({ from: back.startsWith('now') ? back : `now-${back.replace(/^-/, '')}`, to: 'now' }, span.to);
    if (own) found = own;
  }
  const shift = panel.timeShift && parseDuration(interpolate(panel.timeShift, scope).replace(/^-/, ''));
  return shift ? { from: found.from - shift, to: found.to - shift } : found;
}

/** The names that this panel's texts and queries may refer to. */
export function panelScope({ panel, span, state, width, scrapeMs }: Asked, target?: Target): { scope: Scope; own: Span; interval: number } {
  const plain = scopeOf(state, {}, panel.scoped, span);
  const own = panelSpan(panel, span, plain);
  const least = interpolate(target?.interval || panel.interval || '', plain);
  const found = intervals(own, panel.maxDataPoints ?? Math.max(Math.round(width), 50), least || undefined, scrapeMs);
  return { scope: scopeOf(state, builtIns(own, found), panel.scoped, own), own, interval: found.interval };
}

function queryOf(asked: Asked, target: Target): Query {
  const { scope, own, interval } = panelScope(asked, target);
  const expr = interpolate(target.expr, scope, target.kind);
  const logs = target.kind === 'logql' && asked.panel.type === 'logs';
  const query: Query = { kind: target.kind, expr, instant: target.instant && !logs, step: stepFor(own, interval, target.factor) };
  if (target.kind === 'logql') query.limit = target.limit ?? 1000;
  return query;
}

/** Asks a panel's data. Errors of single queries become notices; all of them failing is an error. */
export async function loadPanel(asked: Asked, abort: AbortSignal): Promise<PanelData> {
  const { panel } = asked;
  const { own } = panelScope(asked);
  const targets = panel.targets.filter(target => !target.unable);
  const notices = [...new Set(panel.targets.flatMap(target => (target.unable ? [target.unable] : [])))];
  if (!targets.length) return { frames: [], lines: [], span: own, notices };
  // Long steps stand on whole steps, so that a refresh moves the window and not every point in it; short ones stay fresh.
  const steps = targets.filter(target => !target.instant).map(target => queryOf(asked, target).step);
  const step = Math.min(...steps);
  const unit = steps.length && step > 30_000 ? step : 1000;
  const [from, to] = [Math.floor(own.from / unit) * unit, Math.floor(own.to / unit) * unit];
  const answers = await askBatch(from, to, targets.map(target => queryOf(asked, target)), abort);
  return assemble(asked, targets, answers, own, notices);
}

function assemble(asked: Asked, targets: Target[], answers: Answer[], own: Span, notices: string[]): PanelData {
  const failures = answers.filter(answer => answer.status === 'error');
  if (failures.length === answers.length) throw new Error(failures[0].error ?? 'the query failed');
  const found = answers.flatMap((answer, at) => {
    if (answer.status === 'error') { notices.push(`${targets[at].refId}: ${answer.error}`); return []; }
    for (const warning of answer.warnings ?? []) notices.push(warning);
    const { scope } = panelScope(asked, targets[at]);
    const legend = targets[at].legendFormat;
    return toFrames(answer, targets[at], legend && interpolate(legend, scope), targets.length === 1);
  });
  const lines = answers.flatMap(toLines);
  let frames = found;
  if (frames.length > SERIES_MAX) {
    notices.push(`${frames.length} series: the first ${SERIES_MAX} are drawn`);
    frames = frames.slice(0, SERIES_MAX);
  }
  const { panel } = asked;
  const unknown: string[] = [];
  // Overrides may name fields as they were before or after the transformations.
  const shaped = panel.transformations.length ? transform(frames, panel.transformations, unknown) : frames;
  for (const id of unknown) notices.push(`the transformation “${id}” is not known here and was passed over`);
  return { frames: configure(shaped, panel.fieldConfig), lines, span: own, notices };
}
