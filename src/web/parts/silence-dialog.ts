import { Failure, post } from '../frame/client.js';
import { appText, LENGTHS } from './alert-words.js';
import { h } from './dom.js';

/** Asks for how long, for which app and why a rule is to be silent, and makes it so. */
export class SilenceDialog {
  readonly element: HTMLDialogElement;
  readonly #title = h('h2', { id: 'silence-title' });
  readonly #length = h('select', { id: 'silence-for' }, ...LENGTHS.map(([value, words]) => h('option', { value }, words)));
  readonly #app = h('select', { id: 'silence-app' });
  readonly #comment = h('input', { type: 'text', id: 'silence-comment', maxlength: 500, placeholder: 'Why, for those who wonder' });
  readonly #wrong = h('p', { class: 'wrong', role: 'alert', hidden: true });
  readonly #submit = h('button', { type: 'submit', class: 'primary' }, 'Silence');
  #rule = '';

  /** @param made called when a silence is in force */
  constructor(made: (said: string) => void) {
    this.#length.value = '2h';
    this.element = h(
      'dialog',
      { class: 'token', 'aria-labelledby': 'silence-title' },
      this.#title,
      h('p', {}, 'No webhook tells of this rule while it is silent. It still fires and resolves, marked as silenced.'),
      h(
        'form',
        {
          submit: (event: Event) => {
            event.preventDefault();
            void this.#silence(made);
          },
        },
        h('label', { for: 'silence-for' }, 'For'),
        this.#length,
        h('label', { for: 'silence-app' }, 'In'),
        this.#app,
        h('label', { for: 'silence-comment' }, 'Comment'),
        this.#comment,
        this.#wrong,
        h('div', { class: 'buttons' }, h('button', { type: 'button', click: () => this.element.close() }, 'Cancel'), this.#submit),
      ),
    );
  }

  /** @param apps that the rule watches @param app the one that the reader looks at, or '' */
  open(rule: string, apps: readonly string[], app: string): void {
    this.#rule = rule;
    this.#title.textContent = `Silence ${rule}`;
    this.#app.replaceChildren(
      ...['', ...apps].map((value) => h('option', { value, selected: value === app }, value === '' ? 'Every app' : `App ${value}`)),
    );
    this.#comment.value = '';
    this.#wrong.hidden = true;
    this.element.showModal();
  }

  async #silence(made: (said: string) => void): Promise<void> {
    const app = this.#app.value;
    this.#submit.disabled = true;
    try {
      await post('/api/v1/alerts/silences', { rule: this.#rule, app, for: this.#length.value, comment: this.#comment.value.trim() });
      this.element.close();
      made(`${this.#rule} is silent for ${appText(app)}.`);
    } catch (error) {
      this.#wrong.textContent = error instanceof Failure ? error.message : String(error);
      this.#wrong.hidden = false;
    } finally {
      this.#submit.disabled = false;
    }
  }
}
