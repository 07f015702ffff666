import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, type TestContext, vi } from 'vitest';
import { report, sized } from '../support/torture.js';
import { type Harness, startHarness } from '../unit/ingest-kit.js';

/*
 * The spool on a disk that is really full: a small file system in memory, which says ENOSPC as every other does. A limit on file sizes would say EFBIG, which
 * a full disk never says. Mounting one takes root.
 */

const MIB = 1_048_576;
const disk = mkdtempSync(join(tmpdir(), 'callstream-disk-'));
const filler = join(disk, 'of-somebody-else');
const spoolDir = join(disk, 'spool');
let whyNot: string | null = null;
let harness: Harness;
/** Bodies that were answered 200, and the ids under which the Kafka of each process has got each body. */
const acknowledged: string[] = [];
const arrived = new Map<string, Set<string>>();
let refused = 0;
let sent = 0;

beforeAll(() => {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk], { stdio: 'pipe' });
  } catch (error) {
    whyNot = `no file system of its own for a full disk: ${String((error as { stderr?: Buffer }).stderr ?? error).trim()}`;
    console.log(`Disk full is not tested: ${whyNot}`);
  }
});
afterAll(async () => {
  await harness?.close();
  if (whyNot === null) execFileSync('umount', [disk]);
  rmSync(disk, { recursive: true, force: true });
});

/** Everything that is left, to the last block. */
function fillUp(): void {
  const { bavail, bsize } = statfsSync(disk);
  for (let blocks = bavail; blocks > 0; blocks = statfsSync(disk).bavail)
    writeFileSync(filler, Buffer.alloc(blocks * bsize), { flag: 'a' });
}

async function start(kafka: 'up' | 'down'): Promise<void> {
  harness = await startHarness({ spoolDir, spool: { segmentBytes: 64 * 1_024 } });
  harness.kafka.state = kafka;
}

async function stop(): Promise<void> {
  for (const { event } of harness.kafka.deliveries) {
    const body = event.body.toString();
    arrived.set(body, (arrived.get(body) ?? new Set()).add(event.id));
  }
  await harness.ingest.close();
}

/** Posts callbacks from several senders at once; resolves to how each was answered. */
async function post(count: number): Promise<number[]> {
  const statuses: number[] = [];
  const one = async (): Promise<void> => {
    const body = `call-${sent % 7} ${sent++} ${'x'.repeat(2_000)}`;
    const response = await harness.post('/callbacks/vendor?app=app', body);
    statuses.push(response.status);
    if (response.status === 200) acknowledged.push(body);
    else {
      refused += 1;
      expect(response.status).toBe(503);
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    }
  };
  for (let left = count; left > 0; left -= 8) await Promise.all(Array.from({ length: Math.min(8, left) }, one));
  return statuses;
}

const metric = async (name: string): Promise<number> =>
  (await harness.metrics.registry.getSingleMetric(name)?.get())?.values.reduce((sum, { value }) => sum + value, 0) ?? Number.NaN;
const problems = (): string => harness.ingest.ready().problems.join('; ');

it(
  'says 503 while neither Kafka nor the disk takes anything, loses nothing that it has answered 200, and goes on by itself',
  async (context: TestContext) => {
    if (whyNot !== null) context.skip(whyNot);
    const rounds = sized(2, 40);
    for (let round = 0; round < rounds; round += 1) {
      await start('down');
      // Kafka is away, and the spool has room: taken.
      expect(new Set(await post(40))).toEqual(new Set([200]));

      fillUp();
      const failures = await metric('callstream_spool_failures_total');
      expect(await post(60)).toContain(503);
      expect(harness.ingest.ready().ok).toBe(false);
      expect(problems()).toContain('ENOSPC');
      expect(problems()).toContain('answered 503');
      expect(await metric('callstream_spool_failures_total')).toBeGreaterThan(failures);
      expect(await metric('callstream_ingest_requests_total')).toBeGreaterThan(0);

      // A process that starts on a full disk finds what is in its spool, and refuses as well.
      await stop();
      await start('down');
      expect(harness.ingest.ready().problems.join()).toContain('events wait in the spool');
      expect(await post(20)).toContain(503);

      // Room again, and nobody sends anything: it finds out.
      rmSync(filler);
      await vi.waitFor(() => expect(harness.ingest.ready().ok, problems()).toBe(true), { timeout: 10_000, interval: 20 });
      expect(problems()).not.toContain('disk');
      expect(new Set(await post(40))).toEqual(new Set([200]));

      // Full once more, and Kafka comes back: the spool makes room itself.
      fillUp();
      await post(20);
      harness.kafka.state = 'up';
      await vi.waitFor(() => expect(harness.ingest.ready(), problems()).toEqual({ ok: true, problems: [] }), {
        timeout: 20_000,
        interval: 20,
      });
      expect(new Set(await post(16))).toEqual(new Set([200]));
      await stop();
      rmSync(filler);
      expect(statfsSync(disk).bavail * statfsSync(disk).bsize).toBeGreaterThan(MIB);
    }

    const lost = acknowledged.filter((body) => !arrived.has(body)).length;
    const differing = [...arrived.keys()].filter((body) => !/^call-\d \d+ x{2000}$/.test(body)).length;
    // A body is posted once: what a restart or a doubt repeats has its id.
    const doubled = [...arrived.values()].reduce((sum, ids) => sum + ids.size - 1, 0);
    report({
      scenario: 'the disk of the spool is full (ENOSPC)',
      faults: { full: 2 * rounds, refused },
      events: acknowledged.length,
      lost,
      doubled,
      differing,
    });
    expect({ lost, doubled, differing }).toEqual({ lost: 0, doubled: 0, differing: 0 });
    expect(refused).toBeGreaterThan(rounds);
  },
  sized(60_000, 900_000),
);
