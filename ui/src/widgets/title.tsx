/** The page's title, drawn in the bar above it and set as the window's. */

import { render, type ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';

export function Title({ text, children }: { text: string; children?: ComponentChildren }) {
  useEffect(() => { document.title = `${text} · watchkeeper`; }, [text]);
  useEffect(() => {
    const into = document.getElementById('bar-title');
    if (into) render(<><h1>{text}</h1>{children}</>, into);
  });
  return null;
}
