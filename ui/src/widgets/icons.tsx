/** Line icons, 16 × 16, drawn for this program. */

const PATHS: Record<string, string> = {
  overview: 'M2 9h3l2-6 3 10 2-4h2',
  dashboards: 'M2 2h5v7H2zM9 2h5v4H9zM9 8h5v6H9zM2 11h5v3H2z',
  explore: 'M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM10.8 5.2 9.2 9.2l-4 1.6 1.6-4z',
  alerts: 'M4 11V7a4 4 0 0 1 8 0v4l1.5 1.5h-11zM6.5 14h3',
  targets: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6z',
  logs: 'M2 3h12M2 6.4h8M2 9.7h12M2 13h6',
  refresh: 'M13.5 8a5.5 5.5 0 1 1-1.6-3.9M13.7 1.8v3h-3',
  clock: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 4.7V8l2.3 1.5',
  sun: 'M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8 13 13M13 3l-1.2 1.2M4.2 11.8 3 13',
  moon: 'M13.5 9.6A6 6 0 0 1 6.4 2.5a6 6 0 1 0 7.1 7.1z',
  user: 'M8 2.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM2.5 14a5.5 5.5 0 0 1 11 0',
  out: 'M6 2H3v12h3M10 4.8 13.2 8 10 11.2M13 8H6',
  search: 'M7 2.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6zM10.5 10.5 14 14',
  right: 'M6 3l5 5-5 5', down: 'M3 6l5 5 5-5', left: 'M10 3 5 8l5 5',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  check: 'M3 8.5l3.2 3.2L13 4.8',
  mute: 'M2 6h2.5L8 3v10L4.5 10H2zM10.5 6l4 4M14.5 6l-4 4',
  link: 'M9.5 3H13v3.5M13 3 7.5 8.5M11.5 9.5V13H3V4.5h3.5',
  info: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM8 7.2v4M8 4.8v.2',
  warn: 'M8 2 1.5 13.5h13zM8 6.3v3.4M8 11.6v.1',
  zoom: 'M7 2.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6zM10.5 10.5 14 14M5 7h4',
  play: 'M4 2.5v11l9-5.5z', pause: 'M5 3v10M11 3v10',
  inbox: 'M2 9.5V13h12V9.5M2 9.5 4 3h8l2 6.5M2 9.5h3.5l1 1.8h3l1-1.8H14',
  plus: 'M8 3v10M3 8h10', menu: 'M2 4h12M2 8h12M2 12h12', copy: 'M5 5h8v9H5zM3 11V2h8',
  history: 'M2.5 8a5.5 5.5 0 1 0 1.6-3.9M2.3 1.8v3h3M8 5v3.2l2 1.3',
};

export function Icon({ name, size = 16 }: { name: string; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={PATHS[name] ?? ''} />
    </svg>
  );
}
