/** A field's settings: the panel's defaults, then every override whose matcher takes the field, in order. */

import type { FieldOverride, Json, Panel } from '../model/dashboard.ts';
import { displayName, type Field, type FieldConfig, type Frame } from './frame.ts';
import { reduce } from './reduce.ts';
import { pattern } from './transform.ts';

function matches(matcher: FieldOverride['matcher'], field: Field, frame: Frame): boolean {
  const options: Json = matcher.options;
  switch (matcher.id) {
    case 'byName': return displayName(field, frame) === options || field.name === options;
    case 'byRegexp': return pattern(String(options)).test(displayName(field, frame));
    case 'byNames': {
      const names: string[] = Array.isArray(options) ? options : (options?.names ?? []);
      const named = names.includes(displayName(field, frame));
      return field.type !== 'time' && (options?.mode === 'exclude' ? !named : named);
    }
    case 'byType': return field.type === options;
    case 'byFrameRefID': case 'byQuery': return (field.refId ?? frame.refId) === options;
    case 'numeric': return field.type === 'number';
    case 'time': return field.type === 'time';
    case 'byValue': {
      const value = Number(reduce(field.values, options?.reducer ?? 'lastNotNull'));
      const wanted = Number(options?.value);
      const tests: Record<string, boolean> = { gte: value >= wanted, gt: value > wanted, lte: value <= wanted, lt: value < wanted, eq: value === wanted };
      return field.type === 'number' && (tests[options?.op] ?? false);
    }
    default: return false;
  }
}

function assign(config: FieldConfig, id: string, value: Json): void {
  if (!id.startsWith('custom.')) {
    (config as Json)[id] = value;
    return;
  }
  const path = id.split('.').slice(1);
  if (path.some(step => step === '__proto__' || step === 'constructor' || step === 'prototype')) return;
  config.custom = { ...config.custom };
  let place = config.custom;
  for (const step of path.slice(0, -1)) {
    place[step] = { ...place[step] };
    place = place[step];
  }
  place[path[path.length - 1]] = value;
}

/** Gives every field of the frames its settings. */
export function configure(frames: Frame[], { defaults, overrides }: Panel['fieldConfig']): Frame[] {
  return frames.map(frame => ({
    ...frame,
    fields: frame.fields.map(field => {
      const isTime = field.type === 'time';
      const config: FieldConfig = isTime
        ? { custom: defaults?.custom, ...field.config }
        : { ...defaults, ...field.config, displayName: field.config.displayName ?? templated(defaults?.displayName, field) };
      if (field.type === 'string') config.unit = undefined;
      for (const { matcher, properties } of overrides) {
        if (!matcher || !matches(matcher, field, frame)) continue;
        for (const { id, value } of properties ?? []) assign(config, id, id === 'displayName' ? templated(value, field) : value);
      }
      return { ...field, config };
    }),
  }));
}

function templated(name: string | undefined, field: Field): string | undefined {
  if (!name?.includes('${__')) return name || undefined;
  return name
    .replace(/\$\{__field\.labels\.([^}]+)\}/g, (_, label: string) => field.labels?.[label.replaceAll('"', '')] ?? '')
    .replace(/\$\{__(?:field\.name|series\.name)\}/g, field.legend ?? field.name);
}
