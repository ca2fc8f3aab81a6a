/** Light or dark: what the system prefers until the person chooses. */

import { computed, effect, signal } from '@preact/signals';

type Choice = 'light' | 'dark' | 'system';

const media = matchMedia('(prefers-color-scheme: dark)');
const system = signal(media.matches);
media.addEventListener('change', () => { system.value = media.matches; });

function stored(): Choice {
  try {
    const found = localStorage.getItem('wk-theme');
    return found === 'light' || found === 'dark' ? found : 'system';
  } catch {
    return 'system';
  }
}

export const choice = signal<Choice>(stored());
export const theme = computed<'light' | 'dark'>(() => (choice.value === 'system' ? (system.value ? 'dark' : 'light') : choice.value));

effect(() => {
  document.documentElement.dataset.theme = theme.value;
  try {
    if (choice.value === 'system') localStorage.removeItem('wk-theme');
    else localStorage.setItem('wk-theme', choice.value);
  } catch {
    // private windows keep nothing; the choice then lasts as long as the page
  }
});

export function toggleTheme(): void {
  choice.value = theme.value === 'dark' ? 'light' : 'dark';
}
