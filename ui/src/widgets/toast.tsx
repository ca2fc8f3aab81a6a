/** Short messages at the edge of the page, read out by screen readers. */

import { signal } from '@preact/signals';

interface Toast { id: number; text: string; kind: 'good' | 'bad' }

const toasts = signal<Toast[]>([]);
let last = 0;

export function toast(text: string, kind: Toast['kind'] = 'good'): void {
  const id = ++last;
  toasts.value = [...toasts.value.slice(-3), { id, text, kind }];
  setTimeout(() => { toasts.value = toasts.value.filter(each => each.id !== id); }, kind === 'bad' ? 8000 : 4000);
}

export function Toasts() {
  return <div class="toasts" role="status" aria-live="polite">{toasts.value.map(({ id, text, kind }) => <div key={id} class={`toast ${kind}`}>{text}</div>)}</div>;
}
