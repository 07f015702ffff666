import { request } from '../frame/client.js';
import { h } from './dom.js';

export type ExportFormat = 'csv' | 'ndjson';

const TYPES: Record<ExportFormat, string> = { csv: 'text/csv', ndjson: 'application/x-ndjson' };
/** What is read goes over to the browser, which need not keep it in memory, in pieces of about this many bytes. */
const PIECE = 8 << 20;
const [NEWLINE, QUOTE] = [10, 34];

/** Counts the rows of an export while it comes: in CSV a line within quotes is none, and the head is no row. */
class RowCounter {
  readonly #format: ExportFormat;
  #lines = 0;
  #quoted = false;
  #last = NEWLINE;

  constructor(format: ExportFormat) {
    this.#format = format;
  }

  add(bytes: Uint8Array): void {
    const csv = this.#format === 'csv';
    for (const byte of bytes) {
      if (csv && byte === QUOTE) this.#quoted = !this.#quoted;
      if (byte === NEWLINE && !this.#quoted) this.#lines++;
    }
    this.#last = bytes.at(-1) ?? this.#last;
  }

  get rows(): number {
    return Math.max(0, this.#format === 'csv' ? this.#lines - 1 : this.#lines);
  }

  /** Whether it stops where a row does. */
  get isWhole(): boolean {
    return !this.#quoted && this.#last === NEWLINE;
  }
}

/**
 * Reads an export to its end. Only then there is something to save: of one that breaks off nothing is left that could be taken for a whole one.
 * @param progress rows so far, of how many
 * @returns the content and its number of rows
 * @throws Failure, or whatever broke the connection
 */
export async function readExport(
  path: string,
  format: ExportFormat,
  signal: AbortSignal,
  progress: (rows: number, total: number) => void,
): Promise<{ content: Blob; rows: number }> {
  const response = await request(path, { signal });
  const total = Number(response.headers.get('x-total-count') ?? 0);
  const counter = new RowCounter(format);
  const pieces: Blob[] = [];
  let piece: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  const reader = response.body!.getReader();
  progress(0, total);
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    counter.add(value);
    piece.push(value);
    bytes += value.length;
    if (bytes >= PIECE) {
      pieces.push(new Blob(piece));
      [piece, bytes] = [[], 0];
    }
    progress(counter.rows, total);
  }
  if (!counter.isWhole) throw new Error('the export ends within a row');
  return { content: new Blob([...pieces, ...piece], { type: TYPES[format] }), rows: counter.rows };
}

/** Hands a file to the reader's browser. */
export function save(content: Blob, name: string): void {
  const address = URL.createObjectURL(content);
  h('a', { href: address, download: name }).click();
  // The browser takes it up after this.
  window.setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
