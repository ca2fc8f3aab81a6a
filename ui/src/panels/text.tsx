/** Markdown and HTML texts. Both become an inert document first; only known elements of it are drawn, never its markup. */

import { h, type ComponentChild } from 'preact';
import { useMemo } from 'preact/hooks';
import { safeHref } from '../format/links.ts';
import { interpolate } from '../model/interpolate.ts';
import type { PanelProps } from './view.ts';

const ELEMENTS = new Set([
  'a', 'b', 'blockquote', 'br', 'center', 'code', 'dd', 'del', 'div', 'dl', 'dt', 'em', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'hr', 'i', 'li', 'ol', 'p',
  'pre', 's', 'small', 'span', 'strong', 'sub', 'sup', 'table', 'tbody', 'td', 'tfoot', 'th', 'thead', 'tr', 'u', 'ul', 'details', 'summary', 'mark', 'kbd',
]);
const DROPPED = new Set(['script', 'style', 'iframe', 'object', 'embed', 'template', 'noscript', 'svg', 'math', 'form', 'input', 'button', 'textarea', 'select', 'link', 'meta', 'base', 'title']);
const STYLES = /^(color|background|background-color|text-align|font-size|font-weight|font-style|padding|margin|width|height|line-height|display|border|border-radius|opacity)$/;

function styleOf(element: Element): Record<string, string> | undefined {
  const text = element.getAttribute('style');
  if (!text) return undefined;
  const found: Record<string, string> = {};
  for (const part of text.split(';')) {
    const at = part.indexOf(':');
    const [name, value] = [part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim()];
    if (STYLES.test(name) && !/url|expression|[<>\\@]/i.test(value) && value.length < 100) found[name] = value;
  }
  return found;
}

function draw(node: Node, depth = 0): ComponentChild {
  if (node.nodeType === 3) return node.textContent;
  if (node.nodeType !== 1 || depth > 60) return null;
  const element = node as Element;
  const name = element.localName;
  if (DROPPED.has(name)) return null;
  const children = [...element.childNodes].map(child => draw(child, depth + 1));
  if (name === 'img') return h('span', { class: 'muted' }, `[${element.getAttribute('alt') || 'image'}]`);
  if (!ELEMENTS.has(name)) return h('span', null, children);
  const props: Record<string, unknown> = { style: styleOf(element) };
  if (name === 'a') {
    const href = safeHref(element.getAttribute('href'));
    if (href) Object.assign(props, { href, target: href.startsWith('http') ? '_blank' : undefined, rel: 'noopener noreferrer' });
  }
  for (const span of ['colspan', 'rowspan']) {
    const value = Number(element.getAttribute(span));
    if (value > 1 && value < 100) props[span] = value;
  }
  return h(name, props, children);
}

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

function inline(text: string): string {
  const kept: string[] = [];
  const keep = (html: string): string => `\u0000${kept.push(html) - 1}\u0000`;
  return text
    .replace(/(`+)([\s\S]*?[^`])\1(?!`)/g, (_, _ticks, code: string) => keep(`<code>${escape(code.trim())}</code>`))
    .replace(/!\[([^\]]*)\]\(([^)\s]+)[^)]*\)/g, (_, alt: string) => keep(`<img alt="${escape(alt)}">`))
    .replace(/\[([^\]]+)\]\(<?([^)\s>]+)>?(?:\s+"[^"]*")?\)/g, (_, label: string, href: string) => `${keep(`<a href="${escape(href)}">`)}${label}${keep('</a>')}`)
    .replace(/(^|[\s(])(https?:\/\/[^\s<>)"\]]+)/g, (_, before: string, href: string) => before + keep(`<a href="${escape(href)}">${escape(href)}</a>`))
    .replace(/\*\*(?=\S)([\s\S]+?)\*\*|__(?=\S)([\s\S]+?)__/g, '<strong>$1$2</strong>')
    .replace(/(^|[^\w*])\*(?=\S)([^*]+?)\*(?!\w)|(^|[^\w_])_(?=\S)([^_]+?)_(?!\w)/g, '$1$3<em>$2$4</em>')
    .replace(/~~([\s\S]+?)~~/g, '<del>$1</del>')
    // eslint-disable-next-line no-control-regex
    .replace(/\u0000(\d+)\u0000/g, (_, at: string) => kept[Number(at)]);
}

/** Markdown as HTML: headings, lists, tables, code, quotes, links, emphasis; HTML in it passes through (and is sifted later). */
export function markdown(source: string): string {
  const lines = source.replace(/\r\n?/g, '\n').split('\n');
  const out: string[] = [];
  for (let at = 0; at < lines.length;) {
    const line = lines[at];
    const fence = /^\s*(```+|~~~+)/.exec(line)?.[1];
    const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line);
    if (!line.trim()) { at++; continue; }
    if (fence) {
      const code: string[] = [];
      for (at++; at < lines.length && !lines[at].trim().startsWith(fence); at++) code.push(lines[at]);
      at++;
      out.push(`<pre><code>${escape(code.join('\n'))}</code></pre>`);
    } else if (heading) {
      out.push(`<h${heading[1].length}>${inline(heading[2])}</h${heading[1].length}>`);
      at++;
    } else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) {
      out.push('<hr>');
      at++;
    } else if (/^\s*>/.test(line)) {
      const quoted: string[] = [];
      for (; at < lines.length && /^\s*>/.test(lines[at]); at++) quoted.push(lines[at].replace(/^\s*> ?/, ''));
      out.push(`<blockquote>${markdown(quoted.join('\n'))}</blockquote>`);
    } else if (/^\s*([-*+]|\d+[.)])\s+/.test(line)) {
      at = listAt(lines, at, out);
    } else if (line.includes('|') && /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(lines[at + 1] ?? '')) {
      at = tableAt(lines, at, out);
    } else {
      const text: string[] = [];
      for (; at < lines.length && lines[at].trim() && !/^(#{1,6}\s|\s*(```|~~~|>))/.test(lines[at]) && !(text.length && /^\s*([-*+]|\d+[.)])\s+/.test(lines[at])); at++) text.push(lines[at]);
      const joined = text.join('\n');
      out.push(/^\s*<\/?(div|p|table|tr|td|th|thead|tbody|ul|ol|li|h\d|center|pre|hr|details|summary|script|style|iframe|img)\b/i.test(joined) ? joined : `<p>${inline(joined)}</p>`);
    }
  }
  return out.join('\n');
}

function listAt(lines: string[], from: number, out: string[]): number {
  const ordered = /^\s*\d/.test(lines[from]);
  const indent = /^\s*/.exec(lines[from])![0].length;
  const items: string[][] = [];
  let at = from;
  for (; at < lines.length; at++) {
    const item = /^(\s*)([-*+]|\d+[.)])\s+(.*)$/.exec(lines[at]);
    if (item && item[1].length <= indent + 1) items.push([item[3]]);
    else if (lines[at].trim() && /^\s{2,}/.test(lines[at])) items[items.length - 1].push(lines[at].slice(indent + 2));
    else if (!lines[at].trim() && /^\s*([-*+]|\d+[.)])\s+|^\s{2,}\S/.test(lines[at + 1] ?? '')) items[items.length - 1].push('');
    else break;
  }
  const body = items.map(item => {
    const [first, ...rest] = item;
    return `<li>${inline(first)}${rest.some(Boolean) ? markdown(rest.join('\n')) : ''}</li>`;
  });
  const tag = ordered ? 'ol' : 'ul';
  out.push(`<${tag}>${body.join('')}</${tag}>`);
  return at;
}

function tableAt(lines: string[], from: number, out: string[]): number {
  const cells = (line: string): string[] => line.trim().replace(/^\||\|$/g, '').split('|').map(cell => inline(cell.trim()));
  const head = cells(lines[from]);
  const rows: string[] = [];
  let at = from + 2;
  for (; at < lines.length && lines[at].includes('|'); at++) rows.push(`<tr>${cells(lines[at]).map(cell => `<td>${cell}</td>`).join('')}</tr>`);
  out.push(`<table><thead><tr>${head.map(cell => `<th>${cell}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table>`);
  return at;
}

export function TextPanel({ panel, scope }: PanelProps) {
  const mode: string = panel.options.mode ?? panel.source.mode ?? 'markdown';
  const content = interpolate(String(panel.options.content ?? panel.source.content ?? ''), scope);
  const drawn = useMemo(() => {
    if (mode === 'code' || mode === 'text') return null;
    const html = mode === 'html' ? content : markdown(content);
    return [...new DOMParser().parseFromString(html, 'text/html').body.childNodes].map(node => draw(node));
  }, [content, mode]);
  return <div class="text-panel">{drawn ?? <pre>{content}</pre>}</div>;
}
