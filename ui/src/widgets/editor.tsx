/** A query box: grows with its text, Enter runs, and offers what could come next. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { data } from '../api.ts';
import { AGGREGATIONS, DURATIONS, FUNCTIONS, KEYWORDS, LOG_FUNCTIONS, rank, STAGES, wantedAt, type Wanted } from '../model/complete.ts';

interface Props {
  kind: 'promql' | 'logql';
  value: string;
  label: string;
  onChange: (text: string) => void;
  onRun: (text: string) => void;
}

interface Offer { text: string; note?: string; insert: string; back?: number }

const cache = new Map<string, { at: number; values: Promise<string[]> }>();

/** A list from the server, kept for a minute. */
function listed(path: string, params?: Record<string, string>): Promise<string[]> {
  const key = path + JSON.stringify(params ?? {});
  const found = cache.get(key);
  if (found && Date.now() - found.at < 60_000) return found.values;
  const values = data<string[] | null>(path, params).then(list => list ?? []).catch(() => [] as string[]);
  cache.set(key, { at: Date.now(), values });
  return values;
}

let metadata: Promise<Record<string, { type: string; help: string }[]>> | undefined;

async function offersFor(wanted: Wanted, kind: Props['kind']): Promise<Offer[]> {
  const logs = kind === 'logql';
  const base = logs ? '/loki/api/v1' : '/api/v1';
  const match = 'metric' in wanted && wanted.metric && !logs ? { 'match[]': wanted.metric } : undefined;
  if (wanted.kind === 'duration') return rank(DURATIONS, wanted.prefix).map(text => ({ text, insert: `${text}]` }));
  if (wanted.kind === 'stage') return rank(STAGES, wanted.prefix.trim()).map(text => ({ text, insert: text, back: text.endsWith('""') ? 1 : 0 }));
  if (wanted.kind === 'label') {
    const names = (await listed(`${base}/labels`, match)).filter(name => name !== '__name__');
    return rank(names, wanted.prefix).map(text => (wanted.grouping ? { text, insert: text } : { text, note: 'label', insert: `${text}=""`, back: 1 }));
  }
  if (wanted.kind === 'value') {
    const values = await listed(`${base}/label/${encodeURIComponent(wanted.label)}/values`, match);
    return rank(values, wanted.prefix).map(text => ({ text, insert: text.replaceAll('\\', '\\\\').replaceAll('"', String.raw`\"`) }));
  }
  if (!wanted.prefix) return [];
  const called = (text: string, note: string): Offer => ({ text, note, insert: `${text}(` });
  if (logs) return rank(LOG_FUNCTIONS, wanted.prefix).map(text => called(text, 'function'));
  metadata ??= data<Record<string, { type: string; help: string }[]>>('/api/v1/metadata').catch(() => ({}));
  const [names, about] = await Promise.all([listed('/api/v1/label/__name__/values'), metadata]);
  const functions = new Set([...AGGREGATIONS, ...FUNCTIONS]);
  return rank([...functions, ...KEYWORDS, ...names], wanted.prefix).map(text => {
    if (functions.has(text)) return called(text, AGGREGATIONS.includes(text) ? 'aggregation' : 'function');
    const known = about[text]?.[0] ?? about[text.replace(/_(bucket|sum|count)$/, '')]?.[0];
    return { text, note: known ? `${known.type} · ${known.help.slice(0, 60)}` : KEYWORDS.includes(text) ? 'keyword' : '', insert: text };
  });
}

export function Editor({ kind, value, label, onChange, onRun }: Props) {
  const box = useRef<HTMLTextAreaElement>(null);
  const [offers, setOffers] = useState<Offer[]>([]);
  const [at, setAt] = useState(0);
  const wanted = useRef<Wanted | undefined>(undefined);
  const turn = useRef(0);
  useEffect(() => {
    const element = box.current!;
    element.style.height = 'auto';
    element.style.height = `${Math.min(element.scrollHeight + 2, innerHeight * 0.4)}px`;
  }, [value]);
  const close = (): void => { turn.current++; setOffers([]); };
  const look = async (): Promise<void> => {
    const mine = ++turn.current;
    const { value: text, selectionStart } = box.current!;
    wanted.current = wantedAt(text, selectionStart, kind === 'logql');
    const found = wanted.current ? await offersFor(wanted.current, kind) : [];
    if (mine === turn.current) { setOffers(found); setAt(0); }
  };
  const take = (offer: Offer): void => {
    const element = box.current!;
    const { from } = wanted.current!;
    let rest = element.value.slice(element.selectionStart);
    if (offer.insert.endsWith(']') && rest.startsWith(']')) rest = rest.slice(1);
    const next = element.value.slice(0, from) + offer.insert + rest;
    const caret = from + offer.insert.length - (offer.back ?? 0);
    element.value = next;
    element.setSelectionRange(caret, caret);
    element.focus();
    onChange(next);
    close();
    if (offer.back) void look();
  };
  const keys = (event: KeyboardEvent): void => {
    if (offers.length && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      event.preventDefault();
      setAt((at + (event.key === 'ArrowDown' ? 1 : offers.length - 1)) % offers.length);
    } else if (offers.length && (event.key === 'Tab' || (event.key === 'Enter' && !event.shiftKey && !event.ctrlKey && !event.metaKey))) {
      event.preventDefault();
      take(offers[at]);
    } else if (event.key === 'Escape' && offers.length) {
      event.stopPropagation();
      close();
    } else if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault();
      close();
      onRun(box.current!.value);
    } else if (event.key === ' ' && event.ctrlKey) {
      event.preventDefault();
      void look();
    }
  };
  return (
    <div class="editor">
      <textarea ref={box} rows={1} value={value} spellcheck={false} autocapitalize="off" autocomplete="off" aria-label={label} placeholder={kind === 'promql' ? 'PromQL, as in  sum by (job) (rate(http_requests_total[5m]))' : 'LogQL, as in  {service="api"} |= "error"'}
        aria-controls="completions" aria-autocomplete="list" aria-activedescendant={offers.length ? `offer-${at}` : undefined} data-search
        onInput={event => { onChange(event.currentTarget.value); void look(); }} onKeyDown={keys} onBlur={() => setTimeout(close, 150)} />
      {offers.length > 0 && (
        <ul class="completions" id="completions" role="listbox" aria-label="Completions">
          {offers.map((offer, n) => (
            <li key={offer.text} id={`offer-${n}`} role="option" aria-selected={n === at} ref={element => { if (n === at) element?.scrollIntoView({ block: 'nearest' }); }} onPointerDown={event => { event.preventDefault(); take(offer); }}>
              <span>{offer.text}</span>{offer.note && <small>{offer.note}</small>}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
