import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Spool } from '../../src/ingest/spool.js';
import type { SpoolFile, SpoolFs } from '../../src/ingest/spool-fs.js';

/*
 * Power cuts on a model of a disk: what was not synced may be there, in part, or as zeros; a file whose folder was not
 * synced may be missing; a file deleted without a sync may be back. Whatever happens, what was acknowledged is found again.
 */

interface Inode {
  volatile: Buffer;
  durable: Buffer;
}

/** The pages of the model: unsynced bytes survive or vanish page by page. */
const PAGE = 16;

class ModelDisk implements SpoolFs {
  #volatile = new Map<string, Inode>();
  #durable = new Map<string, Inode>();
  /** After this many operations every further one fails: the power is off. */
  operationsLeft = Number.POSITIVE_INFINITY;

  #operate(): void {
    if (this.operationsLeft-- <= 0) throw new Error('power is off');
  }

  /** The disk after the power came back; `luck` decides about everything that no sync had covered. */
  powerCut(luck: () => number): void {
    const names = new Set([...this.#volatile.keys(), ...this.#durable.keys()]);
    const after = new Map<string, Inode>();
    for (const name of names) {
      const before = this.#durable.get(name);
      const now = this.#volatile.get(name);
      const inode = before === now || luck() < 0.5 ? before : now;
      if (inode === undefined) continue;
      const size =
        luck() < 0.5
          ? inode.volatile.length
          : inode.durable.length + Math.floor(luck() * Math.max(0, inode.volatile.length - inode.durable.length));
      const bytes = Buffer.alloc(size);
      for (let at = 0; at < size; at += PAGE) {
        const flushed = luck() < 0.5;
        (flushed ? inode.volatile : inode.durable).subarray(at, at + PAGE).copy(bytes, at);
      }
      after.set(name, { volatile: bytes, durable: Buffer.from(bytes) });
    }
    this.#volatile = after;
    this.#durable = new Map(after);
    this.operationsLeft = Number.POSITIVE_INFINITY;
  }

  async makeDir(): Promise<void> {}

  async list(dir: string): Promise<string[]> {
    return [...this.#volatile.keys()]
      .filter((path) => path.startsWith(`${dir}/`) && !path.slice(dir.length + 1).includes('/'))
      .map((path) => path.slice(dir.length + 1));
  }

  async open(path: string, mode: 'create' | 'existing'): Promise<SpoolFile> {
    this.#operate();
    if (mode === 'create') {
      if (this.#volatile.has(path)) throw new Error('EEXIST');
      this.#volatile.set(path, { volatile: Buffer.alloc(0), durable: Buffer.alloc(0) });
    }
    const inode = this.#volatile.get(path);
    if (inode === undefined) throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' });
    const operate = () => this.#operate();
    return {
      size: async () => inode.volatile.length,
      read: async (position, length) => Buffer.from(inode.volatile.subarray(position, position + length)),
      write: async (bytes, position) => {
        operate();
        const grown = Buffer.alloc(Math.max(inode.volatile.length, position + bytes.length));
        inode.volatile.copy(grown);
        bytes.copy(grown, position);
        inode.volatile = grown;
      },
      sync: async () => {
        operate();
        inode.durable = Buffer.from(inode.volatile);
      },
      truncate: async (size) => {
        operate();
        inode.volatile = Buffer.from(inode.volatile.subarray(0, size));
        // The new length may reach the disk before or without the next sync.
        inode.durable = Buffer.from(inode.durable.subarray(0, size));
      },
      close: async () => undefined,
    };
  }

  async rename(from: string, to: string): Promise<void> {
    this.#operate();
    const inode = this.#volatile.get(from);
    if (inode !== undefined) this.#volatile.set(to, inode);
    this.#volatile.delete(from);
  }

  async remove(path: string): Promise<void> {
    this.#operate();
    this.#volatile.delete(path);
  }

  async syncDir(): Promise<void> {
    this.#operate();
    this.#durable = new Map(this.#volatile);
  }
}

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'callstream-spool-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

type Step = { do: 'append'; records: number; size: number } | { do: 'drain'; records: number } | { do: 'restart' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      records: fc.integer({ min: 1, max: 4 }),
      size: fc.integer({ min: 0, max: 90 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('drain' as const), records: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
);

const life = fc.record({ steps: fc.array(step, { maxLength: 25 }), operations: fc.integer({ min: 0, max: 60 }) });

it('finds everything acknowledged after power cuts at any instant, in order of first sight', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(life, { minLength: 1, maxLength: 4 }),
      fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
      async (lives, luck) => {
        const disk = new ModelDisk();
        const acknowledged: number[] = [];
        const delivered: number[] = [];
        let written = 0;
        let time = 1;
        const open = () =>
          Spool.open(
            { dir, maxBytes: 1e9, maxAgeMs: 1e9, segmentBytes: 150 },
            { clock: { now: () => time++ }, fs: disk, onDamage: () => undefined },
          );
        const drain = async (spool: Spool, records: number): Promise<void> => {
          const batch = await spool.peek(records, 1e6);
          if (batch === null) return;
          delivered.push(...batch.payloads.map((payload) => Number.parseInt(payload.toString(), 10)));
          await spool.release(batch);
        };

        for (const { steps, operations } of lives) {
          disk.operationsLeft = operations;
          let spool: Spool | null = null;
          try {
            spool = await open();
            for (const step of steps) {
              if (step.do === 'append') {
                const ids = Array.from({ length: step.records }, () => written++);
                await spool.append(ids.map((id) => ({ at: time, payload: Buffer.from(`${id} ${'x'.repeat(step.size)}`) })));
                acknowledged.push(...ids);
              } else if (step.do === 'drain') {
                await drain(spool, step.records);
              } else {
                await spool.close();
                spool = await open();
              }
            }
          } catch {
            // The power went off, or a refused append: neither was acknowledged.
          }
          await spool?.close();
          disk.powerCut(() => luck.next().value);
        }

        const spool = await open();
        while (!spool.isEmpty) await drain(spool, 1000);
        await spool.close();
        const seen = new Set(delivered);
        expect(acknowledged.filter((id) => !seen.has(id))).toEqual([]);
        // Repeats aside, the order is that of the appends.
        const first = [...seen].filter((id) => acknowledged.includes(id));
        expect(first).toEqual([...first].sort((a, b) => a - b));
        expect([...seen].every((id) => id < written)).toBe(true);
      },
    ),
    { numRuns: 400 },
  );
});
