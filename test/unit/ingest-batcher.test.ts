import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Batcher, type BatcherOptions } from '../../src/ingest/batcher.js';
import type { Delivery } from '../../src/ingest/delivery.js';

const delivery = (key: string, size = 10): Delivery => ({
  topic: 't',
  key,
  event: { id: key, source: 's', app_id: 'a', received_at: 0, auth: 'app', remote_addr: '', query: '', body: Buffer.alloc(size) },
});

/** What the batcher handed on, each batch to be settled by hand. */
class Receiver {
  readonly batches: { keys: string[]; resolve: () => void; reject: (error: Error) => void }[] = [];
  readonly accept = (batch: Delivery[]): Promise<void> =>
    new Promise((resolve, reject) => this.batches.push({ keys: batch.map(({ key }) => key), resolve, reject }));

  get keys(): string[][] {
    return this.batches.map(({ keys }) => keys);
  }
}

let receiver: Receiver;
const create = (options: Partial<BatcherOptions> = {}): Batcher =>
  new Batcher(
    { lingerMs: 5, maxRecords: 3, maxBytes: 10_000, maxPending: 10, maxPendingBytes: 1e6, ackTimeoutMs: 1000, ...options },
    receiver.accept,
  );
const code = (promise: Promise<void>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );

beforeEach(() => {
  receiver = new Receiver();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => vi.useRealTimers());

describe('batcher', () => {
  it('waits the linger time for company, then settles each with the fate of the batch', async () => {
    const batcher = create();
    const results = [code(batcher.submit(delivery('a'))), code(batcher.submit(delivery('b')))];
    vi.advanceTimersByTime(4);
    expect(receiver.keys).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(receiver.keys).toEqual([['a', 'b']]);
    expect(batcher.pending).toBe(2);
    receiver.batches[0]?.resolve();
    expect(await Promise.all(results)).toEqual(['ok', 'ok']);
    expect(batcher.pending).toBe(0);
  });

  it('does not wait when the batch is full', () => {
    const batcher = create();
    for (const key of ['a', 'b', 'c']) void batcher.submit(delivery(key));
    expect(receiver.keys).toEqual([['a', 'b', 'c']]);
  });

  it('has one batch on its way at a time, in order, while the next one grows', async () => {
    const batcher = create();
    for (const key of ['a', 'b', 'c', 'd', 'e']) void batcher.submit(delivery(key));
    vi.advanceTimersByTime(100);
    expect(receiver.keys).toEqual([['a', 'b', 'c']]);
    receiver.batches[0]?.resolve();
    await setImmediate();
    vi.advanceTimersByTime(0);
    expect(receiver.keys).toEqual([
      ['a', 'b', 'c'],
      ['d', 'e'],
    ]);
  });

  it('closes a batch by bytes too, but sends a large one alone', async () => {
    const batcher = create({ maxBytes: 2000 });
    for (const [key, size] of [
      ['a', 1500],
      ['b', 1500],
      ['c', 5000],
    ] as const)
      void batcher.submit(delivery(key, size));
    for (let i = 0; i < 3; i++) {
      vi.advanceTimersByTime(5);
      receiver.batches[i]?.resolve();
      await setImmediate();
    }
    expect(receiver.keys).toEqual([['a'], ['b'], ['c']]);
  });

  it('fails only the batch that failed', async () => {
    const batcher = create({ maxRecords: 1 });
    const first = code(batcher.submit(delivery('a')));
    const second = code(batcher.submit(delivery('b')));
    receiver.batches[0]?.reject(new Error('disk'));
    expect(await first).toBe('disk');
    await setImmediate();
    receiver.batches[1]?.resolve();
    expect(await second).toBe('ok');
  });

  it.each([
    ['deliveries', { maxPending: 2 }],
    ['bytes', { maxPendingBytes: 500 }],
  ])('refuses at once what exceeds the bound of %s', async (_what, options) => {
    const batcher = create(options);
    void batcher.submit(delivery('a'));
    void batcher.submit(delivery('b'));
    expect(await code(batcher.submit(delivery('c')))).toBe('INGEST_OVERLOADED');
    vi.advanceTimersByTime(5);
    receiver.batches[0]?.resolve();
    await setImmediate();
    void batcher.submit(delivery('d'));
    expect(batcher.pending).toBe(1);
  });

  it('refuses a batch that is overdue and all behind it, takes nothing until it settles, and then goes on', async () => {
    const batcher = create({ maxRecords: 1 });
    const results = [code(batcher.submit(delivery('a'))), code(batcher.submit(delivery('b')))];
    vi.advanceTimersByTime(1000);
    expect(await Promise.all(results)).toEqual(['INGEST_STALLED', 'INGEST_STALLED']);
    expect(batcher.stalled).toBe(true);
    expect(await code(batcher.submit(delivery('c')))).toBe('INGEST_STALLED');
    expect(batcher.pending).toBe(0);
    receiver.batches[0]?.resolve();
    await setImmediate();
    expect(batcher.stalled).toBe(false);
    const after = code(batcher.submit(delivery('d')));
    receiver.batches[1]?.resolve();
    expect(await after).toBe('ok');
    expect(receiver.keys).toEqual([['a'], ['d']]);
  });

  it('sends off what waits when it closes, and takes nothing more', async () => {
    const batcher = create();
    const result = code(batcher.submit(delivery('a')));
    const closed = batcher.close();
    expect(await code(batcher.submit(delivery('b')))).toBe('INGEST_CLOSED');
    receiver.batches[0]?.resolve();
    await closed;
    expect(await result).toBe('ok');
  });
});
