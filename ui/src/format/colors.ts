/** Colours by the names that dashboards use, palettes, and mixing. */

const SHADES = ['dark', 'semi-dark', '', 'light', 'super-light'];
const HUES: Record<string, readonly string[]> = {
  red: ['#c4162a', '#e02f44', '#f2495c', '#ff7383', '#ffa6b0'],
  orange: ['#fa6400', '#ff780a', '#ff9830', '#ffb357', '#ffcb7d'],
  yellow: ['#e0b400', '#f2cc0c', '#fade2a', '#ffee52', '#fff899'],
  green: ['#37872d', '#56a64b', '#73bf69', '#96d98d', '#c8f2c2'],
  blue: ['#1f60c4', '#3274d9', '#5794f2', '#8ab8ff', '#c0d8ff'],
  purple: ['#8f3bb8', '#a352cc', '#b877d9', '#ca95e5', '#deb6f2'],
};

const NAMED = new Map<string, string>([['transparent', 'rgba(0,0,0,0)'], ['text', 'var(--text)'], ['panel-bg', 'var(--panel)']]);
for (const [hue, colors] of Object.entries(HUES)) {
  for (const [at, shade] of SHADES.entries()) NAMED.set(shade ? `${shade}-${hue}` : hue, colors[at]);
}

// Told apart on both backgrounds, and by people who see red and green alike (blue, amber, teal first).
const PALETTE = {
  dark: ['#5b9df5', '#f0a63a', '#45c4a8', '#e8688f', '#a98be8', '#c7cf4e', '#5ccbe6', '#f07f4f', '#8fd06a', '#d583d9', '#9fb2c8', '#e0c08a',
    '#3f7fd0', '#c9822a', '#2f9d86', '#c04d72', '#8468c4', '#a0a834', '#3aa5c0', '#c96236', '#6dac4c', '#af62b3'],
  light: ['#2f6fd0', '#c77a0a', '#0f8f74', '#c73a66', '#7a57c9', '#848c12', '#1688a8', '#cf5420', '#4f8f2c', '#a847ad', '#5f748c', '#94733a',
    '#1d4f9e', '#935906', '#0a6753', '#92274a', '#573b97', '#5f650a', '#0e6079', '#993c14', '#38681e', '#793079'],
};

/** A colour of the series palette. */
export function paletteColor(index: number, theme: 'dark' | 'light'): string {
  const palette = PALETTE[theme];
  return palette[index % palette.length];
}

/** The colour that a dashboard means: a name of its palette, or any CSS colour; "" when it is neither. */
export function namedColor(name: string | undefined | null): string {
  if (!name) return '';
  const found = NAMED.get(name);
  if (found) return found;
  return /^(#[0-9a-f]{3,8}|(rgb|hsl)a?\([\d\s.,%/deg]+\)|[a-z]{3,20})$/i.test(name) ? name : '';
}

/** Red, green, blue (0–255) and alpha of a hex or rgb() colour; grey when it is neither. */
export function rgba(color: string): [number, number, number, number] {
  const hex = /^#([0-9a-f]{3,8})$/i.exec(color)?.[1];
  if (hex) {
    const wide = hex.length <= 4 ? [...hex].map(digit => digit + digit).join('') : hex;
    const [r, g, b, a] = [0, 2, 4, 6].map(at => Number.parseInt(wide.slice(at, at + 2) || 'ff', 16));
    return [r, g, b, a / 255];
  }
  const numbers = /^rgba?\((.+)\)$/i.exec(color)?.[1].split(/[\s,/]+/).map(Number);
  if (numbers && numbers.length >= 3) return [numbers[0], numbers[1], numbers[2], numbers[3] ?? 1];
  return [128, 128, 128, 1];
}

/** The colour with another opacity (0–1). */
export function fade(color: string, alpha: number): string {
  if (color.startsWith('var(')) return color;
  const [r, g, b, a] = rgba(color);
  return `rgba(${r},${g},${b},${+(a * alpha).toFixed(3)})`;
}

/** What a colour of some opacity looks like on a background, as an opaque colour. */
export function blend(color: string, background: string, alpha: number): string {
  const [r, g, b, a] = rgba(color);
  const [R, G, B] = rgba(background);
  const part = a * alpha;
  const mix = (top: number, under: number): number => Math.round(top * part + under * (1 - part));
  return `rgb(${mix(r, R)},${mix(g, G)},${mix(b, B)})`;
}

/** The colour as ink: dark enough to be read on a light page. */
export function inkOf(color: string, theme: 'dark' | 'light'): string {
  return theme === 'light' && color && !color.startsWith('var(') ? blend(color, '#0c1420', 0.68) : color;
}

/** Black or white, whichever reads better on the colour. */
export function textOn(color: string): string {
  const [r, g, b] = rgba(color);
  return (r * 299 + g * 587 + b * 114) / 1000 > 150 ? '#111' : '#fff';
}

const GRADIENTS: Record<string, readonly string[]> = {
  'continuous-GrYlRd': ['green', 'yellow', 'red'], 'continuous-RdYlGr': ['red', 'yellow', 'green'],
  'continuous-BlYlRd': ['blue', 'yellow', 'red'], 'continuous-YlRd': ['yellow', 'red'], 'continuous-BlPu': ['blue', 'purple'],
  'continuous-YlBl': ['yellow', 'blue'], 'continuous-blues': ['super-light-blue', 'dark-blue'], 'continuous-reds': ['super-light-red', 'dark-red'],
  'continuous-greens': ['super-light-green', 'dark-green'], 'continuous-purples': ['super-light-purple', 'dark-purple'],
};

/** The colour at a place (0–1) of a continuous scheme. */
export function gradientColor(scheme: string, at: number): string {
  const stops = (GRADIENTS[scheme] ?? GRADIENTS['continuous-GrYlRd']).map(namedColor);
  const place = Math.min(Math.max(at, 0), 1) * (stops.length - 1);
  const low = Math.min(Math.floor(place), stops.length - 2);
  return blend(stops[low + 1], stops[low], place - low);
}
