/** Asks for something when its dependencies change, and keeps the last good answer while it asks again. */

import { useEffect, useRef, useState } from 'preact/hooks';

export interface Loaded<T> {
  value?: T;
  error?: string;
  busy: boolean;
  again: () => void;
}

export function useLoad<T>(load: (abort: AbortSignal) => Promise<T>, dependencies: readonly unknown[]): Loaded<T> {
  const [state, setState] = useState<{ value?: T; error?: string; busy: boolean }>({ busy: true });
  const [turn, setTurn] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    const abort = new AbortController();
    setState(before => ({ ...before, busy: true }));
    latest.current(abort.signal).then(
      value => { if (!abort.signal.aborted) setState({ value, busy: false }); },
      (error: unknown) => {
        if (!abort.signal.aborted) setState(before => ({ ...before, error: error instanceof Error ? error.message : String(error), busy: false }));
      },
    );
    return () => abort.abort();
  }, [...dependencies, turn]);
  return { ...state, again: () => setTurn(turn + 1) };
}
