/** Small changes to LogQL queries, made on their text. */

const quote = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', String.raw`\"`).replaceAll('\n', String.raw`\n`)}"`;

/** Where the selector ends: just after its closing brace; -1 when there is none. */
function selectorEnd(query: string): number {
  let quoted = '';
  for (let at = query.indexOf('{'); at >= 0 && at < query.length; at++) {
    const letter = query[at];
    if (quoted) {
      if (letter === '\\' && quoted === '"') at++;
      else if (letter === quoted) quoted = '';
    } else if (letter === '"' || letter === '`') quoted = letter;
    else if (letter === '}') return at + 1;
  }
  return -1;
}

/** The query if it gives lines, so that it can be counted; "" if it is a metric already. */
export function streamPart(query: string): string {
  return query.trimStart().startsWith('{') && selectorEnd(query) > 0 ? query.trim() : '';
}

/** Adds a matcher to the selector; one for the same label with the other meaning gives way. */
export function addMatcher(query: string, name: string, value: string, equal: boolean): string {
  const end = selectorEnd(query);
  const text = `${name}${equal ? '=' : '!='}${quote(value)}`;
  if (end < 0) return `{${text}}`;
  const start = query.indexOf('{');
  const inside = query.slice(start + 1, end - 1).trim().replace(/,\s*$/, '');
  const parts = splitMatchers(inside).filter(part => !part.startsWith(`${name}=~".+"`) && part !== `${name}${equal ? '!=' : '='}${quote(value)}` && part !== text && !(equal && part.startsWith(`${name}=`)));
  return `${query.slice(0, start)}{${[...parts, text].join(', ')}}${query.slice(end)}`;
}

function splitMatchers(inside: string): string[] {
  return (inside.match(/[^,"`]*(?:"(?:[^"\\]|\\.)*"|`[^`]*`)/g) ?? []).map(part => part.trim().replace(/^,\s*/, ''));
}

/** Adds a case-blind search of the line. */
export function withSearch(query: string, search: string): string {
  if (!search.trim()) return query;
  return `${query.trim()} |~ ${quote(`(?i)${search.trim().replace(/[\\^$.|?*+()[\]{}]/g, String.raw`\$&`)}`)}`;
}

const ALSO: Record<string, readonly string[]> = { job: ['job', 'service', 'app', 'service_name', 'container'], service: ['service', 'job', 'app', 'service_name', 'container'], instance: ['instance', 'host', 'hostname', 'node'] };
const TELLING = ['namespace', 'pod', 'container', 'service', 'service_name', 'app', 'job', 'instance', 'host', 'node', 'unit', 'filename'];

/**
 * Finds the logs that belong to an alert: matchers for those of its labels that streams carry, with that value.
 *
 * names   the label names that streams have
 * values  asks for a label's values
 */
export async function nearSelector(labels: Record<string, string>, names: readonly string[], values: (name: string) => Promise<string[]>): Promise<string> {
  const found: string[] = [];
  const used = new Set<string>();
  for (const label of TELLING) {
    const value = labels[label];
    if (!value) continue;
    for (const name of ALSO[label] ?? [label]) {
      if (used.has(name) || !names.includes(name)) continue;
      const known = await values(name);
      const host = value.replace(/:\d+$/, '');
      const match = known.includes(value) ? value : known.includes(host) ? host : undefined;
      if (match === undefined) continue;
      used.add(name);
      found.push(`${name}=${quote(match)}`);
      break;
    }
  }
  return found.length ? `{${found.join(', ')}}` : '';
}
