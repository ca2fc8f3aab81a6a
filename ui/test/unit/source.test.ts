import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const walk = (folder: string): string[] => readdirSync(folder, { withFileTypes: true }).flatMap(entry => (entry.isDirectory() ? walk(join(folder, entry.name)) : [join(folder, entry.name)]));
const sources = walk('src').filter(file => /\.tsx?$/.test(file));

test('no source makes markup out of text or code out of text', () => {
  for (const file of sources) {
    const found = /innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write|\beval\(|new Function\(|setAttribute\('style'/.exec(readFileSync(file, 'utf8'));
    assert.equal(found, null, `${file}: ${found?.[0]}`);
  }
});

test('nothing is asked of other sites', () => {
  for (const file of sources) assert.ok(!/(fetch|import|src=|href=)\(?\s*["'`]https?:/.test(readFileSync(file, 'utf8')), file);
});

test('the lock file names no registry', () => {
  assert.ok(!/"resolved"|https?:\/\/[^"]*registry/.test(readFileSync('package-lock.json', 'utf8').replace(/"funding"[\s\S]*?[}\]],?/g, '')));
});
