/** Chooses the time range and how often it is refreshed. */

import { useState } from 'preact/hooks';
import { formatDate, zoneName } from '../format/dates.ts';
import { parseMoment, rangeText } from '../model/time.ts';
import { range, refresh, refreshNow, setRange, setRefresh, shiftRange, span, zoomOut } from '../range.ts';
import { Icon } from './icons.tsx';
import { Popover } from './popover.tsx';

const QUICK = ['5m', '15m', '30m', '1h', '3h', '6h', '12h', '24h', '2d', '7d', '30d', '90d'];
const EVERY = ['', '5s', '10s', '15s', '30s', '1m', '5m', '15m', '1h'];
const show = (ms: number): string => formatDate(ms, 'datetime');

function Custom({ close }: { close: () => void }) {
  const text = (end: string): string => (/^\d+$/.test(end) ? show(Number(end)) : end);
  const [from, setFrom] = useState(text(range.value.from));
  const [to, setTo] = useState(text(range.value.to));
  const [start, end] = [parseMoment(from, Date.now()), parseMoment(to, Date.now(), true)];
  const wrong = start === undefined || end === undefined ? 'Use now-6h, now/d, or 2026-01-31 08:00' : start >= end ? 'The start must come before the end' : '';
  const apply = (event: Event): void => {
    event.preventDefault();
    if (wrong) return;
    setRange({ from: from.startsWith('now') ? from : String(start), to: to.startsWith('now') ? to : String(end) });
    close();
  };
  return (
    <form class="custom-range" onSubmit={apply}>
      <label>From<input value={from} spellcheck={false} onInput={event => setFrom(event.currentTarget.value)} /></label>
      <label>To<input value={to} spellcheck={false} onInput={event => setTo(event.currentTarget.value)} /></label>
      <p class={wrong ? 'field-error' : 'muted'} role={wrong ? 'alert' : undefined}>{wrong || `Times are in ${zoneName()}`}</p>
      <button class="button primary" type="submit" disabled={!!wrong}>Apply</button>
    </form>
  );
}

export function TimePicker() {
  const label = rangeText(range.value, show);
  return (
    <div class="timepicker" role="group" aria-label="Time range">
      <button type="button" class="button icon-only wide-only" title="Earlier (t ←)" aria-label="Earlier" onClick={() => shiftRange(-1)}><Icon name="left" /></button>
      <Popover label={`Time range: ${label}`} side="right" button={<><Icon name="clock" /><span class="range-text">{label}</span></>}>
        {close => (
          <div class="range-panel">
            <Custom close={close} />
            <div class="quick" role="group" aria-label="Quick ranges">
              {QUICK.map(each => {
                const chosen = range.value.from === `now-${each}` && range.value.to === 'now';
                return (
                  <button type="button" class={chosen ? 'chosen' : ''} aria-pressed={chosen} data-autofocus={chosen || undefined} onClick={() => { setRange({ from: `now-${each}`, to: 'now' }); close(); }}>
                    {rangeText({ from: `now-${each}`, to: 'now' }, show)}
                  </button>
                );
              })}
              <button type="button" onClick={() => { setRange({ from: 'now/d', to: 'now' }); close(); }}>Today</button>
              <button type="button" onClick={() => { setRange({ from: 'now-1d/d', to: 'now-1d/d' }); close(); }}>Yesterday</button>
            </div>
          </div>
        )}
      </Popover>
      <button type="button" class="button icon-only wide-only" title="Later (t →)" aria-label="Later" disabled={span.value.to >= Date.now() - 1000} onClick={() => shiftRange(1)}><Icon name="right" /></button>
      <button type="button" class="button icon-only wide-only" title="Zoom out (t z)" aria-label="Zoom out" onClick={zoomOut}><Icon name="zoom" /></button>
      <div class="refresh" role="group" aria-label="Refresh">
        <button type="button" class="button icon-only" title="Refresh (d r)" aria-label="Refresh now" onClick={refreshNow}><Icon name="refresh" /></button>
        <select aria-label="Refresh every" title="Refresh every" value={refresh.value} onChange={event => setRefresh(event.currentTarget.value)}>
          {(EVERY.includes(refresh.value) ? EVERY : [...EVERY, refresh.value]).map(each => <option value={each}>{each || 'Off'}</option>)}
        </select>
      </div>
    </div>
  );
}
