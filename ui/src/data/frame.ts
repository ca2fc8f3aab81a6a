/** Columns of values: what a query's answer becomes before a panel draws it. */

import type { Json } from '../model/dashboard.ts';

export type Cell = number | string | boolean | null | undefined;

export interface FieldConfig {
  displayName?: string;
  unit?: string;
  decimals?: number | null;
  min?: number;
  max?: number;
  thresholds?: { mode?: string; steps?: { color: string; value: number | null }[] };
  mappings?: Json[];
  color?: { mode?: string; fixedColor?: string; seriesBy?: string };
  noValue?: string;
  links?: Json[];
  custom?: Json;
}

export interface Field {
  name: string;
  type: 'time' | 'number' | 'string';
  values: Cell[];
  labels?: Record<string, string>;
  /** The name that the query's legend gives. */
  legend?: string;
  config: FieldConfig;
  refId?: string;
}

export interface Frame {
  refId: string;
  /** A series has a time and a value field; a table any. */
  shape: 'series' | 'table';
  fields: Field[];
  length: number;
}

export interface LogLine {
  timeNs: string;
  ms: number;
  labels: Record<string, string>;
  line: string;
}

/** The name by which a field is shown, and matched by overrides. */
export function displayName(field: Field, frame?: Frame): string {
  if (field.config.displayName) return field.config.displayName;
  if (field.legend !== undefined) return field.legend;
  if (field.type === 'time') return field.name;
  if (frame && frame.shape === 'series' && field.labels && Object.keys(field.labels).length) return seriesText(field.labels);
  return field.name;
}

/** Writes labels as PromQL does: name{a="b"}. */
export function seriesText(labels: Record<string, string>): string {
  const inside = Object.entries(labels).filter(([key]) => key !== '__name__').map(([key, value]) => `${key}="${value}"`).join(', ');
  const name = labels.__name__ ?? '';
  return inside ? `${name}{${inside}}` : name || '{}';
}

/** A legend's format with the labels put in: "{{instance}} used". */
export function legendText(format: string, labels: Record<string, string>): string {
  return format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, name: string) => labels[name] ?? '');
}
