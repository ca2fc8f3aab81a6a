/** How a value is shown: mapped to a text, written in its unit, coloured by thresholds, mappings or palette. */

import type { Cell, FieldConfig } from '../data/frame.ts';
import type { Json } from '../model/dashboard.ts';
import { gradientColor, namedColor, paletteColor } from './colors.ts';
import { format, type Formatted } from './units.ts';

export interface Shown extends Formatted {
  /** A CSS colour, or "" for the text's own. */
  color: string;
  /** The value itself, when it is a number. */
  number: number | null;
}

/** The result that the mappings give for a value, if any. */
export function mapped(value: Cell, mappings: readonly Json[] | undefined): { text?: string; color?: string } | undefined {
  for (const mapping of mappings ?? []) {
    const options = mapping?.options ?? {};
    if (mapping?.type === 'value' && value !== null && value !== undefined && Object.hasOwn(options, String(value))) return options[String(value)];
    if (mapping?.type === 'range' && typeof value === 'number' && value >= (options.from ?? -Infinity) && value <= (options.to ?? Infinity)) return options.result;
    if (mapping?.type === 'special' && special(value, options.match)) return options.result;
    if (mapping?.type === 'regex' && value !== null && value !== undefined) {
      const slashed = /^\/([\s\S]*)\/([ims]*)$/.exec(String(options.pattern));
      try {
        const found = new RegExp(slashed ? slashed[1] : String(options.pattern), slashed?.[2]).exec(String(value));
        if (found) return { ...options.result, text: options.result?.text?.replace(/\$(\d)/g, (_: string, at: string) => found[Number(at)] ?? '') };
      } catch {
        continue;
      }
    }
    if (mapping?.type === 1 && String(mapping.value) === String(value)) return { text: mapping.text };
    if (mapping?.type === 2 && typeof value === 'number' && value >= Number(mapping.from) && value <= Number(mapping.to)) return { text: mapping.text };
  }
  return undefined;
}

function special(value: Cell, match: string): boolean {
  const isNull = value === null || value === undefined;
  const isNaN = Number.isNaN(value);
  switch (match) {
    case 'null': return isNull;
    case 'nan': return isNaN;
    case 'null+nan': return isNull || isNaN;
    case 'true': return value === true;
    case 'false': return value === false;
    case 'empty': return value === '';
    default: return false;
  }
}

/** The colour of the step that a value has reached. */
export function thresholdColor(value: number | null, config: FieldConfig, low = 0, high = 100): string {
  const steps = config.thresholds?.steps ?? [];
  if (!steps.length) return '';
  const place = config.thresholds?.mode === 'percentage' && value !== null ? ((value - low) / (high - low || 1)) * 100 : value;
  let found = steps[0].color;
  for (const step of steps) if (place !== null && (step.value === null || step.value === undefined || place >= step.value)) found = step.color;
  return namedColor(found);
}

/** The colour that the field's scheme gives a value. */
export function valueColor(value: number | null, config: FieldConfig, theme: 'dark' | 'light', index = 0, span: [number, number] = [0, 100]): string {
  const mode = config.color?.mode ?? 'thresholds';
  const [low, high] = [config.min ?? span[0], config.max ?? span[1]];
  if (mode === 'fixed' || mode === 'shades') return namedColor(config.color?.fixedColor) || paletteColor(index, theme);
  if (mode === 'thresholds') return thresholdColor(value, config, low, high);
  if (mode.startsWith('continuous')) return gradientColor(mode, value === null ? 0 : (value - low) / (high - low || 1));
  return paletteColor(index, theme);
}

/** Shows a value as its field's settings say. */
export function show(value: Cell, config: FieldConfig, theme: 'dark' | 'light', index = 0, span?: [number, number]): Shown {
  const number = typeof value === 'number' ? value : null;
  const result = mapped(value, config.mappings);
  const color = (result?.color && namedColor(result.color)) || valueColor(number, config, theme, index, span);
  if (result?.text !== undefined && result.text !== '') return { text: result.text, color, number };
  if (value === null || value === undefined) return { text: config.noValue ?? '–', color, number };
  if (typeof value !== 'number') return { text: String(value), color, number };
  return { ...format(value, config.unit, config.decimals), color, number };
}

export function shownText({ prefix, text, suffix }: Formatted): string {
  return (prefix ?? '') + text + (suffix ?? '');
}
