/** Addresses that a dashboard, a rule or a label may lead to. */

/** Gives the address when it is http, https or within this site; "" for anything else (javascript:, data:, //elsewhere). */
export function safeHref(href: unknown): string {
  if (typeof href !== 'string') return '';
  // eslint-disable-next-line no-control-regex
  const text = href.replace(/[\u0000-\u001f]/g, '').trim(); // as browsers do before they look at the scheme
  if (/^https?:\/\/[^/]/i.test(text)) return text;
  if (/^[/\\]{2}/.test(text) || text.includes('\\')) return '';
  if (text.startsWith('/') || text.startsWith('?') || text.startsWith('#')) return text;
  return /^[a-z][a-z0-9+.-]*:/i.test(text) || !text ? '' : text;
}
