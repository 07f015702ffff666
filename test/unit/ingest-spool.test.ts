import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Spool, type SpoolDeps, type SpoolOptions } from '../../src/ingest/spool.js';
import { encodeEntries, HEADER_BYTES, readFrames } from '../../src/ingest/spool-format.js';
import { nodeSpoolFs, type SpoolFile, type SpoolFs } from '../../src/ingest/spool-fs.js';

let dir: string;
let now: number;
let damages: { segment: string; bad: number; cut: number }[];
const opened: Spool[] = [];
const clock = { now: () => now };

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'callstream-spool-'));
  now = 1_700_000_000_000;
  damages = [];
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((spool) => spool.close()));
  rmSync(dir, { recursive: true, force: true });
});

async function openSpool(options: Partial<SpoolOptions> = {}, deps: Partial<SpoolDeps> = {}): Promise<Spool> {
  const spool = await Spool.open(
    { dir, maxBytes: 1e6, maxAgeMs: 60_000, segmentBytes: 200, ...options },
    { clock, onDamage: (damage) => damages.push(damage), ...deps },
  );
  opened.push(spool);
  return spool;
}

/** As after a crash: the object is forgotten, the files stay. */
async function reopen(spool: Spool, deps: Partial<SpoolDeps> = {}): Promise<Spool> {
  opened.splice(opened.indexOf(spool), 1);
  await spool.close();
  return openSpool({}, deps);
}

const entries = (...texts: string[]) => texts.map((text) => ({ at: now, payload: Buffer.from(text) }));
const segments = (): string[] =>
  readdirSync(dir)
    .filter((name) => name.endsWith('.seg'))
    .sort();
const pathOf = (index: number): string => join(dir, segments()[index] ?? 'missing');

/** Everything in the spool, in order, as a drain sees it. */
async function drain(spool: Spool, maxRecords = 3): Promise<string[]> {
  const out: string[] = [];
  for (let batch = await spool.peek(maxRecords, 1e6); batch !== null; batch = await spool.peek(maxRecords, 1e6)) {
    out.push(...batch.payloads.map(String));
    await spool.release(batch);
  }
  return out;
}

function flipByte(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  writeFileSync(path, bytes);
}

describe('spool', () => {
  it('gives back what was appended, in order, over several segments, and leaves no file', async () => {
    const spool = await openSpool();
    const all = Array.from({ length: 50 }, (_, i) => `record ${i}`);
    for (let i = 0; i < all.length; i += 5) await spool.append(entries(...all.slice(i, i + 5)));
    expect(segments().length).toBeGreaterThan(3);
    expect(spool.events).toBe(50);
    expect(await drain(spool)).toEqual(all);
    expect(spool.isEmpty).toBe(true);
    expect(spool.bytes).toBe(0);
    expect(segments()).toEqual([]);
  });

  it('keeps records that were read but not released', async () => {
    const spool = await openSpool();
    await spool.append(entries('a', 'b'));
    expect((await spool.peek(1, 1e6))?.payloads.map(String)).toEqual(['a']);
    expect((await spool.peek(1, 1e6))?.payloads.map(String)).toEqual(['a']);
    expect(spool.events).toBe(2);
  });

  it('is there again after a restart, and repeats a segment that was drained in part', async () => {
    const spool = await openSpool({ segmentBytes: 1e6 });
    await spool.append(entries('a', 'b', 'c'));
    const batch = await spool.peek(2, 1e6);
    if (batch) await spool.release(batch);
    const again = await reopen(spool);
    expect(again.events).toBe(3);
    expect(await drain(again)).toEqual(['a', 'b', 'c']);
  });

  it('puts new records behind those of an earlier run', async () => {
    const spool = await openSpool();
    await spool.append(entries('old'));
    const again = await reopen(spool);
    await again.append(entries('new'));
    expect(await drain(again)).toEqual(['old', 'new']);
  });

  it('respects the byte limit of a read, but gives at least one record', async () => {
    const spool = await openSpool({ segmentBytes: 1e7, maxBytes: 1e7 });
    const large = 'x'.repeat(1_500_000);
    await spool.append(entries(large, 'small', large));
    const first = await spool.peek(10, 1000);
    expect(first?.payloads.map((payload) => payload.length)).toEqual([large.length]);
    expect((await drain(spool, 10)).map((text) => text.length)).toEqual([large.length, 5, large.length]);
  });

  it('is not empty while its first record is being written: nobody overtakes it', async () => {
    const seen: boolean[] = [];
    const spool: Spool = await openSpool({}, { fault: () => void seen.push(spool.isEmpty) });
    expect(spool.isEmpty).toBe(true);
    await spool.append(entries('a'));
    expect(seen.length).toBeGreaterThan(0);
    expect(seen).not.toContain(true);
  });

  it('takes appends while it is read', async () => {
    const spool = await openSpool();
    await spool.append(entries('a'));
    const batch = await spool.peek(10, 1e6);
    const appending = spool.append(entries('b'));
    if (batch) await spool.release(batch);
    await appending;
    expect(await drain(spool)).toEqual(['b']);
    expect(segments()).toEqual([]);
  });

  describe('damage', () => {
    it('cuts a torn tail at every possible length', async () => {
      const spool = await openSpool({ segmentBytes: 1e6 });
      await spool.append(entries('first', 'second'));
      await reopen(spool).then((again) => again.close());
      opened.length = 0;
      const path = pathOf(0);
      const whole = readFileSync(path);
      const firstEnd = HEADER_BYTES + 'first'.length;
      for (let length = firstEnd; length < whole.length; length++) {
        writeFileSync(path, whole.subarray(0, length));
        const again = await openSpool();
        expect(again.events).toBe(1);
        expect((await again.peek(9, 1e6))?.payloads.map(String)).toEqual(['first']);
        await again.close();
        opened.length = 0;
        expect(readFileSync(path).length).toBe(firstEnd);
      }
      expect(damages.every(({ bad }) => bad === 0)).toBe(true);
    });

    it('cuts a tail of zeros, as a power cut leaves one', async () => {
      const spool = await openSpool();
      await spool.append(entries('kept'));
      appendFileSync(pathOf(0), Buffer.alloc(4096));
      const again = await reopen(spool);
      expect(damages).toMatchObject([{ bad: 0, cut: 4096 }]);
      expect(await drain(again)).toEqual(['kept']);
    });

    it.each([
      ['payload', HEADER_BYTES + 1],
      ['length', 6],
      ['magic', 0],
      ['checksum', 17],
    ])('sets a segment aside whose record has a wrong %s, and keeps its other records', async (_what, at) => {
      const spool = await openSpool({ segmentBytes: 1e6 });
      await spool.append(entries('one', 'two', 'three'));
      flipByte(pathOf(0), HEADER_BYTES + 3 + at);
      const name = segments()[0];
      const again = await reopen(spool);
      expect(damages).toEqual([{ segment: name, bad: 1, cut: 0 }]);
      expect(await drain(again)).toEqual(['one', 'three']);
      expect(segments()).toEqual([]);
      expect(readdirSync(join(dir, 'quarantine'))).toEqual([name]);
      expect(damages).toHaveLength(1);
    });

    it('never mistakes damage for a torn tail: a wrong last record is set aside', async () => {
      const spool = await openSpool();
      await spool.append(entries('only'));
      flipByte(pathOf(0), HEADER_BYTES);
      const again = await reopen(spool);
      expect(again.isEmpty).toBe(true);
      expect(readdirSync(join(dir, 'quarantine'))).toHaveLength(1);
    });

    it('counts a record that goes bad after it was checked', async () => {
      const spool = await openSpool({ segmentBytes: 1e6 });
      await spool.append(entries('one', 'two'));
      flipByte(pathOf(0), HEADER_BYTES);
      expect(await drain(spool)).toEqual(['two']);
      expect(damages).toMatchObject([{ bad: 1 }]);
      expect(spool.isEmpty).toBe(true);
    });

    it('goes on when somebody cuts or deletes a segment', async () => {
      const spool = await openSpool({ segmentBytes: 50 });
      await spool.append(entries('a'.repeat(60)));
      await spool.append(entries('b'.repeat(60)));
      await spool.append(entries('c'.repeat(60)));
      const again = await reopen(spool);
      truncateSync(pathOf(0), 30);
      rmSync(pathOf(1));
      expect(await drain(again)).toEqual(['c'.repeat(60)]);
      expect(damages.map(({ bad }) => bad)).toEqual([1, 1]);
      expect(again.isEmpty).toBe(true);
    });

    it('sets aside what its reader could not make sense of', async () => {
      const spool = await openSpool();
      await spool.append(entries('gibberish'));
      const batch = await spool.peek(1, 1e6);
      if (batch) await spool.release(batch, 1);
      expect(readdirSync(join(dir, 'quarantine'))).toHaveLength(1);
      expect(spool.isEmpty).toBe(true);
    });

    it('resynchronises at the next record that holds, whatever stands between', () => {
      const good = encodeEntries(entries('good'));
      const fake = Buffer.concat([Buffer.from('CSP1'), Buffer.alloc(40, 7)]);
      const frames = [...readFrames(Buffer.concat([good, fake, good]))];
      expect(frames.map(({ kind, start, end }) => [kind, start, end])).toEqual([
        ['record', 0, good.length],
        ['bad', good.length, good.length + fake.length],
        ['record', good.length + fake.length, 2 * good.length + fake.length],
      ]);
    });
  });

  describe('bounds', () => {
    it('refuses what would exceed its size, deletes nothing, and takes again once there is room', async () => {
      const spool = await openSpool({ maxBytes: 300 });
      await spool.append(entries('x'.repeat(200)));
      await expect(spool.append(entries('y'.repeat(200)))).rejects.toMatchObject({ code: 'SPOOL_FULL' });
      expect(await drain(spool)).toEqual(['x'.repeat(200)]);
      await spool.append(entries('z'));
      expect(await drain(spool)).toEqual(['z']);
    });

    it('refuses while its oldest record is too old', async () => {
      const spool = await openSpool({ maxAgeMs: 1000 });
      await spool.append(entries('old'));
      now += 1000;
      await spool.append(entries('in time'));
      now += 1;
      expect(spool.fullBecause).toMatch(/its oldest event waits since/);
      await expect(spool.append(entries('late'))).rejects.toMatchObject({ code: 'SPOOL_FULL' });
      expect(await drain(spool)).toEqual(['old', 'in time']);
      await spool.append(entries('again'));
    });
  });

  describe('failing disk', () => {
    /** A file system whose next call of one kind fails. */
    function failing(): SpoolFs & { fail: keyof SpoolFile | 'open' | 'syncDir' | null } {
      const wrap = (file: SpoolFile): SpoolFile => ({
        size: () => file.size(),
        read: (position, length) => file.read(position, length),
        close: () => file.close(),
        truncate: (size) => trip('truncate') ?? file.truncate(size),
        write: (bytes, position) =>
          trip('write', () => file.write(bytes.subarray(0, bytes.length >> 1), position)) ?? file.write(bytes, position),
        sync: () => trip('sync') ?? file.sync(),
      });
      const trip = (what: keyof SpoolFile | 'open' | 'syncDir', first?: () => Promise<void>): Promise<never> | undefined => {
        if (fs.fail !== what) return undefined;
        fs.fail = null;
        return (async () => {
          await first?.();
          throw Object.assign(new Error('EIO'), { code: 'EIO' });
        })();
      };
      const fs = {
        ...nodeSpoolFs,
        fail: null as keyof SpoolFile | 'open' | 'syncDir' | null,
        open: async (path: string, mode: 'create' | 'existing') => (await trip('open')) ?? wrap(await nodeSpoolFs.open(path, mode)),
        syncDir: async (path: string) => (await trip('syncDir')) ?? nodeSpoolFs.syncDir(path),
      };
      return fs;
    }

    it.each(['write', 'sync'] as const)('closes the segment after a failed %s, and goes on in a new one', async (what) => {
      const fs = failing();
      const spool = await openSpool({ segmentBytes: 1e6 }, { fs });
      await spool.append(entries('acknowledged'));
      fs.fail = what;
      await expect(spool.append(entries('refused'))).rejects.toMatchObject({ code: 'SPOOL_FAILED' });
      await spool.append(entries('later'));
      expect(segments()).toHaveLength(2);
      const again = await reopen(spool);
      expect(damages).toEqual([]);
      expect(await drain(again)).toEqual(['acknowledged', 'later']);
    });

    it.each(['open', 'syncDir', 'sync'] as const)('leaves nothing behind when a new segment fails at %s', async (what) => {
      const fs = failing();
      const spool = await openSpool({}, { fs });
      fs.fail = what;
      await expect(spool.append(entries('refused'))).rejects.toMatchObject({ code: 'SPOOL_FAILED' });
      expect(spool.isEmpty).toBe(true);
      expect(segments()).toEqual([]);
      await spool.append(entries('later'));
      expect(await drain(spool)).toEqual(['later']);
    });

    it('acknowledges only after fsync, of the folder too when the segment is new', async () => {
      const order: string[] = [];
      const fs: SpoolFs = {
        ...nodeSpoolFs,
        syncDir: async (path) => {
          await nodeSpoolFs.syncDir(path);
          order.push('folder');
        },
      };
      const spool = await openSpool({}, { fs, fault: (point) => void order.push(point) });
      order.length = 0;
      await spool.append(entries('a'));
      order.push('acknowledged');
      expect(order).toEqual([
        'spool:before-create',
        'folder',
        'spool:after-create',
        'spool:before-write',
        'spool:before-fsync',
        'spool:after-fsync',
        'acknowledged',
      ]);
    });
  });

  describe('lock', () => {
    it('lets one user in at a time', async () => {
      const spool = await openSpool();
      await expect(openSpool()).rejects.toMatchObject({ code: 'SPOOL_LOCKED' });
      await spool.close();
      opened.length = 0;
      await openSpool();
    });

    it('refuses a folder that another living process holds', async () => {
      writeFileSync(join(dir, 'lock'), JSON.stringify({ pid: process.ppid, born: '' }));
      await expect(openSpool()).rejects.toMatchObject({ code: 'SPOOL_LOCKED' });
    });

    it.each([
      ['is dead', () => JSON.stringify({ pid: spawnSync('true').pid, born: '' })],
      ['had the pid that is now ours', () => JSON.stringify({ pid: process.pid, born: '' })],
      ['had a pid that another process has now', () => JSON.stringify({ pid: process.ppid, born: 'an earlier boot/1' })],
      ['left an empty file', () => ''],
    ])('takes over from an owner that %s', async (_what, text) => {
      writeFileSync(join(dir, 'lock'), text());
      await openSpool();
      expect(JSON.parse(readFileSync(join(dir, 'lock'), 'utf8'))).toMatchObject({ pid: process.pid });
      expect(readdirSync(dir).sort()).toEqual(['lock', 'quarantine']);
    });
  });
});
