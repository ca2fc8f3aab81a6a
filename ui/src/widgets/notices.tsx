/** What a page says when it has nothing, or something went wrong. */

import type { ComponentChildren } from 'preact';
import { Icon } from './icons.tsx';

export function Failure({ text }: { text: string }) {
  return <div class="notice bad" role="alert"><Icon name="warn" /><span>{text}</span></div>;
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <div class="empty">{children}</div>;
}

export function Labels({ labels, skip = [] }: { labels: Record<string, string>; skip?: readonly string[] }) {
  return (
    <span class="labels">
      {Object.entries(labels).filter(([key]) => !skip.includes(key)).map(([key, value]) => <span class="label"><b>{key}</b>{value}</span>)}
    </span>
  );
}
