import { createHash } from 'node:crypto';
import type { ServedSource } from './book.js';

/** Which texts the APIs have given away; kept only where somebody will ask. */
export class Served {
  readonly #digests: Set<string> | null;

  constructor(kept: boolean) {
    this.#digests = kept ? new Set() : null;
  }

  note(source: ServedSource, app_id: string, text: string): void {
    this.#digests?.add(digest(source, app_id, text));
  }

  has(source: ServedSource, app_id: string, text: string): boolean {
    return this.#digests?.has(digest(source, app_id, text)) === true;
  }
}

const digest = (source: ServedSource, app_id: string, text: string): string =>
  createHash('sha1')
    .update(JSON.stringify([source, app_id]))
    .update(text)
    .digest('base64');
