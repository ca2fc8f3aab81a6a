/** Everything that is asked of the server goes through here. */

import { signal } from '@preact/signals';
import type { Answer } from './data/answers.ts';

export interface User {
  login: string;
  name: string;
  role: 'Admin' | 'Editor' | 'Viewer';
  /** Nobody needs to sign in: there is no account to leave. */
  open?: boolean;
}

/** undefined: not known yet; null: nobody is signed in. */
export const user = signal<User | null | undefined>(undefined);

export class ApiError extends Error {
  status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

type Params = Record<string, string | number | boolean | undefined | readonly string[]>;

function withParams(path: string, params?: Params): string {
  const found = new URLSearchParams();
  for (const [key, value] of Object.entries(params ?? {})) {
    if (Array.isArray(value)) for (const each of value) found.append(key, each);
    else if (value !== undefined && value !== '') found.append(key, String(value));
  }
  const text = found.toString();
  return text ? `${path}?${text}` : path;
}

async function ask<T>(method: string, url: string, body?: unknown, abort?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (method !== 'GET') headers['x-wk-csrf'] = '1';
  if (body !== undefined) headers['content-type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(url, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal: abort, credentials: 'same-origin' });
  } catch (error) {
    if (abort?.aborted) throw error;
    throw new ApiError(0, 'the server does not answer');
  }
  const text = await response.text();
  let json: any;
  try {
    json = text ? JSON.parse(text) : undefined;
  } catch {
    json = undefined;
  }
  if (response.ok) return json as T;
  if (response.status === 401 && !url.startsWith('/api/login')) user.value = null;
  const said = typeof json === 'string' ? json : (json?.message ?? json?.error ?? json?.detail);
  throw new ApiError(response.status, typeof said === 'string' ? said : `${method} ${url.split('?')[0]} answered ${response.status}`);
}

export const get = <T,>(path: string, params?: Params, abort?: AbortSignal): Promise<T> => ask<T>('GET', withParams(path, params), undefined, abort);
export const post = <T,>(path: string, body?: unknown, abort?: AbortSignal): Promise<T> => ask<T>('POST', path, body, abort);
export const put = <T,>(path: string, body?: unknown): Promise<T> => ask<T>('PUT', path, body);
export const remove = <T,>(path: string): Promise<T> => ask<T>('DELETE', path);

/** Asks one of Prometheus' or Loki's endpoints and unwraps its `data`. */
export async function data<T>(path: string, params?: Params, abort?: AbortSignal): Promise<T> {
  return (await get<{ data: T }>(path, params, abort)).data;
}

export async function loadUser(): Promise<void> {
  try {
    const found = await get<any>('/api/user');
    user.value = { login: found.login, name: found.name || found.login, role: found.role || found.orgRole || 'Viewer', open: found.id === 0 };
  } catch (error) {
    user.value = null;
    if (error instanceof ApiError && error.status !== 401) throw error;
  }
}

export async function signIn(name: string, password: string): Promise<void> {
  const found = await post<{ user: User }>('/api/login', { user: name, password });
  user.value = { ...found.user, name: found.user.name || found.user.login };
}

export async function signOut(): Promise<void> {
  await post('/api/logout').catch(() => undefined);
  user.value = null;
}

export interface Query {
  kind: 'promql' | 'logql';
  expr: string;
  instant: boolean;
  step: number;
  limit?: number;
  direction?: 'forward' | 'backward';
}

interface Waiting {
  from: number;
  to: number;
  queries: readonly Query[];
  abort?: AbortSignal;
  done: (answers: Answer[]) => void;
  failed: (error: unknown) => void;
}

const BATCH_MAX = 100;
let waiting: Waiting[] = [];

/**
 * Asks several queries over one time range (ms). All that is asked within one turn of the event loop goes out in one request.
 *
 * returns  an answer a query, in their order; a query that failed says so in its own
 */
export function askBatch(from: number, to: number, queries: readonly Query[], abort?: AbortSignal): Promise<Answer[]> {
  return new Promise((done, failed) => {
    if (!waiting.length) setTimeout(flush, 0);
    waiting.push({ from, to, queries, abort, done, failed });
  });
}

function flush(): void {
  const asks = waiting;
  waiting = [];
  let chunk: Waiting[] = [];
  let size = 0;
  for (const each of asks) {
    if (each.abort?.aborted) continue;
    if (size && size + each.queries.length > BATCH_MAX) { void send(chunk); chunk = []; size = 0; }
    chunk.push(each);
    size += each.queries.length;
  }
  if (chunk.length) void send(chunk);
}

async function send(asks: readonly Waiting[]): Promise<void> {
  const abort = new AbortController();
  const giveUp = (): void => { if (asks.every(each => each.abort?.aborted)) abort.abort(); };
  for (const each of asks) each.abort?.addEventListener('abort', giveUp);
  const [{ from, to }] = asks;
  const refs: string[][] = [];
  const queries: object[] = [];
  const known = new Map<string, string>();
  for (const each of asks) {
    const own = each.from === from && each.to === to ? {} : { from: each.from, to: each.to };
    refs.push(each.queries.map(query => {
      const text = JSON.stringify([query, own]);
      let ref = known.get(text); // panels that ask the same share the answer
      if (!ref) {
        ref = `q${known.size}`;
        known.set(text, ref);
        queries.push({ ref, ...query, ...own });
      }
      return ref;
    }));
  }
  try {
    const { results } = await post<{ results: Record<string, Answer> }>('/api/query/batch', { from, to, queries }, abort.signal);
    const missing: Answer = { status: 'error', error: 'the server gave no answer to this query' };
    for (const [at, each] of asks.entries()) each.done(refs[at].map(ref => results[ref] ?? missing));
  } catch (error) {
    for (const each of asks) each.failed(error);
  } finally {
    for (const each of asks) each.abort?.removeEventListener('abort', giveUp);
  }
}
