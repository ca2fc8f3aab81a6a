/** Holds the build to its budget: what a browser loads to show a dashboard, packed. */
import { readdirSync, readFileSync } from 'node:fs';

const ASSETS = new URL('../../src/watchkeeper/show/static/assets/', import.meta.url);
const JS_MAX = 80_000;
const CSS_MAX = 15_000;
const ALL_JS_MAX = 320_000;

const files = new Map(readdirSync(ASSETS).filter(name => name.endsWith('.gz')).map(name => [name.slice(0, -3), readFileSync(new URL(name, ASSETS)).length]));
const source = name => readFileSync(new URL(name, ASSETS), 'utf8');
const starting = name => [...files.keys()].find(file => new RegExp(`^${name}-[\\w-]{8}\\.js$`).test(file));

/** A chunk and all that it imports at once. */
function closure(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  for (const [, other] of source(name).matchAll(/(?:from|import)\s*["'`]\.\/([\w-]+\.js)["'`]/g)) closure(other, found);
  return found;
}

const index = [...files.keys()].find(file => /^index-.*\.js$/.test(file));
const first = closure(index);
for (const name of closure(starting('dashboard'))) first.add(name);
const sum = names => [...names].reduce((total, name) => total + files.get(name), 0);
const js = sum(first);
const css = sum([...files.keys()].filter(name => name.endsWith('.css')));
const all = sum([...files.keys()].filter(name => name.endsWith('.js')));
console.log(`first load of a dashboard: ${js} bytes of JavaScript in ${first.size} files (at most ${JS_MAX}), ${css} of CSS (at most ${CSS_MAX}); everything: ${all} (at most ${ALL_JS_MAX})`);
if (js > JS_MAX || css > CSS_MAX || all > ALL_JS_MAX) process.exit(1);
