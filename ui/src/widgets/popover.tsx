/** A button that opens a small panel below itself; Escape and a click elsewhere close it. */

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

interface Props {
  label: string;
  button: ComponentChildren;
  class?: string;
  side?: 'left' | 'right';
  children: (close: () => void) => ComponentChildren;
}

export function Popover({ label, button, class: className = '', side = 'left', children }: Props) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const trigger = useRef<HTMLButtonElement>(null);
  const close = (): void => { setOpen(false); trigger.current?.focus(); };
  useEffect(() => {
    if (!open) return undefined;
    const away = (event: Event): void => { if (!root.current?.contains(event.target as Node)) setOpen(false); };
    const escape = (event: KeyboardEvent): void => { if (event.key === 'Escape') { event.stopPropagation(); close(); } };
    document.addEventListener('pointerdown', away);
    document.addEventListener('keydown', escape, true);
    root.current?.querySelector<HTMLElement>('.popover [data-autofocus], .popover input, .popover button')?.focus();
    return () => {
      document.removeEventListener('pointerdown', away);
      document.removeEventListener('keydown', escape, true);
    };
  }, [open]);
  return (
    <div class={`popover-root ${className}`} ref={root}>
      <button type="button" class="button" ref={trigger} aria-haspopup="dialog" aria-expanded={open} aria-label={label} title={label} onClick={() => setOpen(!open)}>{button}</button>
      {open && <div class={`popover ${side}`} role="dialog" aria-label={label}>{children(close)}</div>}
    </div>
  );
}
