import { h } from './dom.js';

let made = 0;

/** What a number means, on hover or focus. The element around it has the class `with-about`. */
export function info(label: string, definition: string): HTMLElement {
  const id = `info-${++made}`;
  const box = h(
    'span',
    {
      class: 'with-about',
      keydown: (event: KeyboardEvent) => event.key === 'Escape' && box.classList.add('quiet'),
    },
    h(
      'button',
      {
        type: 'button',
        class: 'info',
        'aria-label': `What does “${label}” mean?`,
        'aria-describedby': id,
        focus: () => box.classList.remove('quiet'),
      },
      'i',
    ),
    h('span', { class: 'about', role: 'tooltip', id }, h('span', {}, h('strong', {}, `${label}: `), definition)),
  );
  return box;
}
