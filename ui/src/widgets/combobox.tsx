/** Chooses one or many of a long list: typed search, keys, and only the rows in view are drawn. */

import { useMemo, useRef, useState } from 'preact/hooks';
import { ALL, type Option } from '../model/vars.ts';
import { Popover } from './popover.tsx';

interface Props {
  label: string;
  options: readonly Option[];
  values: readonly string[];
  multi: boolean;
  all: boolean;
  error?: string;
  onChange: (values: string[]) => void;
}

const ROW = 28;
const VIEW = 9;

export function Combobox(props: Props) {
  const { label, options, values, error } = props;
  const text = values.includes(ALL) ? 'All' : values.map(value => options.find(option => option.value === value)?.text ?? value).join(' + ');
  return (
    <div class="variable">
      <span class="variable-label">{label}</span>
      <Popover label={`${label}: ${text || 'nothing chosen'}`} class={error ? 'bad' : ''} button={<span class="variable-value" title={error}>{error ? 'failed' : text || '–'}</span>}>
        {close => <List {...props} close={close} />}
      </Popover>
    </div>
  );
}

function List({ label, options, values, multi, all, onChange, close, error }: Props & { close: () => void }) {
  const [search, setSearch] = useState('');
  const [at, setAt] = useState(0);
  const [top, setTop] = useState(0);
  const [chosen, setChosen] = useState(values);
  const scroller = useRef<HTMLDivElement>(null);
  const found = useMemo(() => {
    const wanted = search.toLowerCase();
    const matching = wanted ? options.filter(option => option.text.toLowerCase().includes(wanted)) : options;
    return all && !wanted ? [{ text: 'All', value: ALL }, ...matching] : matching;
  }, [search, options, all]);
  const first = Math.max(0, Math.floor(top / ROW) - 3);
  const pick = (value: string): void => {
    if (!multi) { onChange([value]); close(); return; }
    const rest = chosen.filter(each => each !== ALL);
    const next = value === ALL ? [ALL] : rest.includes(value) ? rest.filter(each => each !== value) : [...rest, value];
    const settled = next.length ? next : all ? [ALL] : rest;
    setChosen(settled);
    onChange([...settled]);
  };
  const keys = (event: KeyboardEvent): void => {
    const move = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (move) {
      event.preventDefault();
      const next = Math.min(Math.max(at + move, 0), found.length - 1);
      setAt(next);
      const box = scroller.current!;
      if (next * ROW < box.scrollTop) box.scrollTop = next * ROW;
      if ((next + 1) * ROW > box.scrollTop + VIEW * ROW) box.scrollTop = (next + 1 - VIEW) * ROW;
    }
    if (event.key === 'Enter' && found[at]) { event.preventDefault(); pick(found[at].value); }
  };
  return (
    <div class="combobox" onKeyDown={keys}>
      <input role="combobox" aria-label={`Search ${label}`} aria-expanded="true" aria-controls="combobox-list" aria-activedescendant={`option-${at}`} placeholder={`Search ${options.length}`} value={search} spellcheck={false}
        onInput={event => { setSearch(event.currentTarget.value); setAt(0); setTop(0); }} />
      {error && <p class="field-error">{error}</p>}
      {multi && search && found.length > 1 && <button type="button" class="link" onClick={() => { const next = found.map(option => option.value).slice(0, 1000); setChosen(next); onChange(next); }}>Choose these {found.length}</button>}
      <div class="combobox-list" id="combobox-list" role="listbox" aria-label={label} aria-multiselectable={multi} ref={scroller} style={{ height: `${Math.min(found.length, VIEW) * ROW}px` }} onScroll={event => setTop(event.currentTarget.scrollTop)}>
        <div style={{ height: `${found.length * ROW}px`, position: 'relative' }}>
          {found.slice(first, first + VIEW + 8).map((option, n) => {
            const is = chosen.includes(option.value);
            const index = first + n;
            return (
              <div key={option.value} id={`option-${index}`} role="option" aria-selected={is} class={`option${index === at ? ' at' : ''}${is ? ' chosen' : ''}`} style={{ top: `${index * ROW}px` }} onClick={() => pick(option.value)}>
                {multi && <i class="box" />}<span>{option.text || '(empty)'}</span>
              </div>
            );
          })}
        </div>
      </div>
      {!found.length && <p class="muted small">Nothing matches</p>}
    </div>
  );
}
