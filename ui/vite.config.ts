import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

const OUT = '../src/watchkeeper/show/static';
const SHIPPED = ['preact', '@preact/signals', '@preact/signals-core', 'uplot'];

/** Writes a .gz beside every text file, so that the server compresses nothing while people wait. */
function gzipFiles(): Plugin {
  return {
    name: 'gzip-files',
    apply: 'build',
    closeBundle() {
      const walk = (folder: string): string[] =>
        readdirSync(folder, { withFileTypes: true }).flatMap(entry =>
          entry.isDirectory() ? walk(join(folder, entry.name)) : [join(folder, entry.name)]);
      for (const file of walk(OUT)) {
        if (/\.(js|css|html|svg|json|txt)$/.test(file)) writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: 9 }));
      }
    },
  };
}

/** Ships the licences of what is in the bundle with it. */
function licences(): Plugin {
  return {
    name: 'licences',
    apply: 'build',
    generateBundle() {
      const texts = SHIPPED.map(name => {
        const file = ['LICENSE', 'LICENSE.md'].map(each => join('node_modules', name, each)).find(existsSync);
        const { version, license } = JSON.parse(readFileSync(join('node_modules', name, 'package.json'), 'utf8'));
        return `${name} ${version} (${license})\n\n${file ? readFileSync(file, 'utf8').trim() : ''}\n`;
      });
      this.emitFile({ type: 'asset', fileName: 'licences.txt', source: texts.join('\n---\n\n') });
    },
  };
}

export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 400,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:9090', '/loki': 'http://127.0.0.1:9090' } },
  plugins: [licences(), gzipFiles()],
});
