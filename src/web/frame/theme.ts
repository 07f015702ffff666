import { h } from '../parts/dom.js';

const THEME = 'callstream-theme';
const dark = window.matchMedia('(prefers-color-scheme: dark)');

const isDark = (): boolean => (document.documentElement.dataset.theme ?? (dark.matches ? 'dark' : 'light')) === 'dark';

/** The theme of the device, until the reader chooses: the choice stays on this device. @param changed called after each change */
export function themeButton(changed: () => void): HTMLButtonElement {
  const button = h('button', {
    type: 'button',
    class: 'theme',
    click: () => {
      const next = isDark() ? 'light' : 'dark';
      localStorage.setItem(THEME, next);
      set(next);
    },
  });
  const set = (theme: string | null): void => {
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
    button.textContent = isDark() ? '☀' : '☾';
    button.setAttribute('aria-label', isDark() ? 'Switch to light colours' : 'Switch to dark colours');
    changed();
  };
  dark.addEventListener('change', () => set(null));
  set(localStorage.getItem(THEME));
  return button;
}
