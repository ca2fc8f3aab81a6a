import { useEffect, useState } from 'preact/hooks';

/** Counts up every `ms` while the page is looked at: a page without a time range refreshes by it. */
export function useTicks(ms: number): number {
  const [count, setCount] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => { if (!document.hidden) setCount(each => each + 1); }, ms);
    return () => clearInterval(timer);
  }, [ms]);
  return count;
}
