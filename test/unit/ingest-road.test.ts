import { readdirSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { FaultPoint } from '../../src/ingest/index.js';
import { nodeSpoolFs } from '../../src/ingest/spool-fs.js';
import { gate, type Harness, NOW, startHarness, until } from './ingest-kit.js';

const harnesses: Harness[] = [];
const start = async (...args: Parameters<typeof startHarness>): Promise<Harness> => {
  const harness = await startHarness({ road: FAST, ...args[0] }, args[1]);
  harnesses.push(harness);
  return harness;
};
afterEach(async () => {
  await Promise.all(harnesses.splice(0).map((harness) => harness.close()));
});

const FAST = { sendTimeoutMs: 100, drain: { maxRecords: 10, maxBytes: 100_000, backoffMs: 5, maxBackoffMs: 20 } };
const URL_OF_APP = '/callbacks/vendor?app=app';
const segments = ({ spoolDir }: Harness): string[] => readdirSync(spoolDir).filter((name) => name.endsWith('.seg'));

async function postAll(harness: Harness, bodies: string[]): Promise<number[]> {
  const statuses: number[] = [];
  for (const body of bodies) statuses.push((await harness.post(URL_OF_APP, body)).status);
  return statuses;
}

describe('while Kafka is away', () => {
  it.each(['down', 'hung'] as const)(
    '(%s) callbacks go to the spool, are answered 200, and follow in order when it is back',
    async (state) => {
      const harness = await start();
      const { kafka, ingest } = harness;
      await postAll(harness, ['before']);
      kafka.state = state;
      expect(await postAll(harness, ['1', '2', '3', '4', '5'])).toEqual([200, 200, 200, 200, 200]);
      expect(kafka.bodies).toEqual(['before']);
      expect(ingest.ready()).toMatchObject({ ok: true });
      if (state === 'down') {
        expect(ingest.ready().problems.join('; ')).toMatch(/5 events wait in the spool.*Kafka is away/);
        kafka.state = 'up';
        await until(() => kafka.bodies.length === 6);
        expect(await postAll(harness, ['after'])).toEqual([200]);
        expect(kafka.bodies).toEqual(['before', '1', '2', '3', '4', '5', 'after']);
        await until(() => ingest.ready().problems.length === 0);
        expect(segments(harness)).toEqual([]);
      }
    },
  );

  it('lets only the first callback wait for a broker that does not answer', async () => {
    const harness = await start({ road: { ...FAST, sendTimeoutMs: 1_000 } });
    harness.kafka.state = 'hung';
    await postAll(harness, ['first']);
    const begun = performance.now();
    await postAll(harness, ['2', '3', '4']);
    expect(performance.now() - begun).toBeLessThan(2_000);
  });

  it('keeps the order under load while the spool drains, and leaves the spool again', async () => {
    const harness = await start({ road: { ...FAST, nearlyDry: 50 } });
    const { kafka, metrics } = harness;
    kafka.state = 'down';
    let sent = 0;
    const load = async (): Promise<void> => {
      while (sent < 400) {
        if (sent === 100) kafka.state = 'up';
        expect((await harness.post(URL_OF_APP, `${sent++}`)).status).toBe(200);
      }
    };
    await load();
    await until(() => kafka.bodies.length === 400);
    expect(kafka.bodies).toEqual(Array.from({ length: 400 }, (_, i) => `${i}`));
    const appended = (await metrics.callstream_spool_appended_total.get()).values[0]?.value ?? 0;
    expect(appended).toBeGreaterThanOrEqual(100);
    expect(appended).toBeLessThan(400);
    expect((await metrics.callstream_spool_drained_total.get()).values[0]?.value).toBe(appended);
  });

  it('takes callbacks before Kafka and the registry have ever been reached', async () => {
    let attempts = 0;
    let reachable = false;
    const harness = await start(
      {},
      {
        connect: async () => {
          attempts++;
          if (!reachable) throw new Error('no registry');
          return harness.kafka;
        },
      },
    );
    expect(await postAll(harness, ['1', '2'])).toEqual([200, 200]);
    expect(harness.ingest.ready().problems[0]).toMatch(/not been reached/);
    await until(() => attempts > 1);
    reachable = true;
    await until(() => harness.kafka.bodies.length === 2);
    expect(harness.kafka.bodies).toEqual(['1', '2']);
  });

  it('sends what an earlier run has left, before anything new, with the same ids', async () => {
    const first = await startHarness({ road: FAST });
    first.kafka.state = 'down';
    await postAll(first, ['1', '2']);
    await first.ingest.close();
    const second = await start({ spoolDir: first.spoolDir });
    await postAll(second, ['3']);
    await until(() => second.kafka.bodies.length === 3);
    expect(second.kafka.bodies).toEqual(['1', '2', '3']);
    const { event, key, topic } = second.kafka.deliveries[0] ?? {};
    expect({ key, topic }).toEqual({ key: 'tencent:app:1', topic: 'callstream.raw.vendor' });
    expect(event).toEqual({
      id: expect.any(String),
      source: 'vendor',
      app_id: 'app',
      received_at: NOW,
      auth: 'app',
      remote_addr: '127.0.0.1',
      query: 'app=app',
      body: Buffer.from('1'),
    });
  });

  it('repeats with equal ids what was acknowledged by Kafka but could not be ticked off', async () => {
    let faults = 1;
    const harness = await start(
      {},
      {
        fault: (point) => {
          if (point === 'drain:after-ack' && faults-- > 0) throw new Error('fault');
        },
      },
    );
    const { kafka } = harness;
    kafka.state = 'down';
    await postAll(harness, ['1']);
    kafka.state = 'up';
    await until(() => kafka.bodies.length === 2);
    expect(new Set(kafka.deliveries.map(({ event }) => event.id)).size).toBe(1);
  });
});

describe('503 with Retry-After', () => {
  const expectRefused = async (harness: Harness): Promise<void> => {
    const response = await harness.post(URL_OF_APP, 'refused');
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
  };

  it('when Kafka is away and the spool is full; nothing accepted is lost for it', async () => {
    const harness = await start({ spool: { maxBytes: 700 } });
    const { kafka, ingest } = harness;
    kafka.state = 'down';
    const statuses = await postAll(harness, ['1', '2', '3', '4', '5']);
    const accepted = statuses.filter((status) => status === 200).length;
    expect(accepted).toBeGreaterThan(0);
    expect(statuses).toEqual([...Array(accepted).fill(200), ...Array(5 - accepted).fill(503)]);
    await expectRefused(harness);
    kafka.state = 'up';
    await until(() => ingest.ready().problems.length === 0);
    expect(kafka.bodies).toEqual(['1', '2', '3', '4', '5'].slice(0, accepted));
    expect(await postAll(harness, ['after'])).toEqual([200]);
  });

  it('when the spool is too old, and readiness says so', async () => {
    let now = NOW;
    const harness = await start({ spool: { maxAgeMs: 60_000 } }, { clock: { now: () => now } });
    harness.kafka.state = 'down';
    expect(await postAll(harness, ['1'])).toEqual([200]);
    now += 60_001;
    await expectRefused(harness);
    expect(harness.ingest.ready()).toMatchObject({
      ok: false,
      problems: expect.arrayContaining([expect.stringMatching(/takes nothing more/)]),
    });
  });

  it('when fsync fails; the next callback tries a new segment', async () => {
    let failures = 1;
    const fault = (point: FaultPoint): void => {
      if (point === 'spool:before-fsync' && failures-- > 0) throw new Error('EIO');
    };
    const harness = await start({}, { fault });
    harness.kafka.state = 'down';
    await expectRefused(harness);
    expect(await postAll(harness, ['kept'])).toEqual([200]);
    harness.kafka.state = 'up';
    await until(() => harness.kafka.bodies.length === 1);
    expect(harness.kafka.bodies).toEqual(['kept']);
  });

  it('not when the disk fails while Kafka is there', async () => {
    const first = await startHarness({ road: FAST });
    first.kafka.state = 'down';
    await postAll(first, ['spooled']);
    await first.ingest.close();

    const drain = gate();
    const fs = { ...nodeSpoolFs, syncDir: async () => Promise.reject(new Error('EIO')) };
    const harness = await start(
      { spoolDir: first.spoolDir, road: { ...FAST, nearlyDry: 0 } },
      { fs, fault: (point) => (point === 'drain:before-send' ? drain.pass() : undefined) },
    );
    expect(await postAll(harness, ['overtakes'])).toEqual([200]);
    drain.open();
    await until(() => harness.ingest.ready().problems.length === 0);
    expect(harness.kafka.bodies).toEqual(['overtakes', 'spooled']);
  });

  it('when neither Kafka nor the disk answers at all, for everybody, until they do', async () => {
    const disk = gate();
    const harness = await start(
      { batch: { ackTimeoutMs: 300 } },
      { fault: (point) => (point === 'spool:before-fsync' ? disk.pass() : undefined) },
    );
    harness.kafka.state = 'down';
    await expectRefused(harness);
    expect(harness.ingest.ready()).toMatchObject({ ok: false });
    await expectRefused(harness);
    disk.open();
    await until(() => harness.ingest.ready().ok);
    expect(await postAll(harness, ['after'])).toEqual([200]);
  });

  it('when too much waits already', async () => {
    const kafka = gate();
    const harness = await start(
      { batch: { maxPending: 1 }, road: { ...FAST, sendTimeoutMs: 10_000 } },
      { fault: (point) => (point === 'kafka:before-send' ? kafka.pass() : undefined) },
    );
    const first = harness.post(URL_OF_APP, 'first');
    await until(() => kafka.reached);
    await expectRefused(harness);
    kafka.open();
    expect((await first).status).toBe(200);
    expect(await postAll(harness, ['after'])).toEqual([200]);
  });
});
