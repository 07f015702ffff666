import { Failure } from '../frame/client.js';
import { h } from './dom.js';
import { type ExportFormat, readExport, save } from './download.js';
import { count } from './format.js';

const FORMATS: readonly [ExportFormat, string][] = [
  ['csv', 'CSV'],
  ['ndjson', 'NDJSON'],
];

/** All calls of the filters as a file, with its progress and a way to stop it. */
export class ExportControl {
  readonly element: HTMLElement;
  readonly #params: () => Record<string, string>;
  readonly #buttons: HTMLButtonElement[];
  readonly #bar = h('progress', { 'aria-label': 'Rows of the export', max: 1, value: 0 });
  readonly #rows = h('span', { class: 'n' });
  readonly #cancel = h('button', { type: 'button', click: () => this.#abort?.abort() }, 'Cancel');
  readonly #progress: HTMLElement;
  readonly #said = h('p', { role: 'status', class: 'said' });
  #abort: AbortController | null = null;

  /** @param params the filters of the API, as they are when it starts */
  constructor(params: () => Record<string, string>) {
    this.#params = params;
    this.#buttons = FORMATS.map(([format, name]) =>
      h('button', { type: 'button', 'aria-label': `Export as ${name}`, click: () => void this.#run(format) }, name),
    );
    this.#progress = h('div', { class: 'running', hidden: true }, this.#bar, this.#rows, this.#cancel);
    this.element = h('div', { class: 'export' }, h('span', { class: 'dim' }, 'Export'), ...this.#buttons, this.#progress, this.#said);
  }

  stop(): void {
    this.#abort?.abort();
  }

  async #run(format: ExportFormat): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    this.#show(true);
    this.#said.textContent = 'The export has begun.';
    let [rows, total] = [0, 0];
    try {
      const search = new URLSearchParams([...Object.entries(this.#params()).filter(([, value]) => value !== ''), ['format', format]]);
      const whole = await readExport(`/api/v1/calls/export?${search}`, format, abort.signal, (soFar, of) => {
        [rows, total] = [soFar, of];
        this.#bar.max = Math.max(1, total, rows);
        this.#bar.value = rows;
        this.#rows.textContent = `${count(rows)} of ${count(total)}`;
      });
      save(whole.content, `calls-${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z.${format}`);
      this.#said.textContent = `Saved ${count(whole.rows)} calls.`;
    } catch (error) {
      if (abort.signal.aborted) this.#said.textContent = 'Cancelled: nothing was saved.';
      else if (error instanceof Failure) this.#said.textContent = `${error.message} Nothing was saved.`;
      else this.#said.textContent = `The export broke off after ${count(rows)} of ${count(total)} calls, so nothing was saved. Try again.`;
    } finally {
      this.#abort = null;
      this.#show(false);
    }
  }

  #show(running: boolean): void {
    const focused = this.element.contains(document.activeElement);
    for (const button of this.#buttons) button.hidden = running;
    this.#progress.hidden = !running;
    // The button that had the focus is gone.
    if (focused) (running ? this.#cancel : this.#buttons[0]!).focus();
  }
}
