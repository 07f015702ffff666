import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { servedOrigin } from '../../src/simulator/vendor/app.js';
import { Outage } from '../../src/simulator/vendor/outage.js';
import { RateLimit } from '../../src/simulator/vendor/rate-limit.js';
import { Vendor } from '../../src/simulator/vendor/vendor.js';
import { callRecord } from '../../src/sources/call-record.js';
import { systemClock } from '../../src/telemetry/clock.js';
import { APP_ID, callFacts, KEYS, TestVendor } from '../support/vendor.js';

const open: TestVendor[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map(({ vendor }) => vendor.close()));
});
async function vendorOf(options: Parameters<typeof TestVendor.open>[0] = {}): Promise<TestVendor> {
  const opened = await TestVendor.open(options);
  open.push(opened);
  opened.vendor.learn(callFacts());
  return opened;
}
const plan = { what: 'call', generation: 'v1', appId: APP_ID, callId: 'call-1' } as const;
/** What came of one request: the kind and code of its answer, or `broken`. */
async function outcome(vendor: TestVendor): Promise<string> {
  vendor.now += 100;
  const credentials = { endpoint: vendor.endpoint, identifier: KEYS.identifier, secretKey: KEYS.recordsKey };
  try {
    const answer = await vendor.ask(callRecord, plan, credentials);
    return answer.kind === 'page' ? 'page' : `${answer.kind} ${answer.code}`;
  } catch {
    return 'broken';
  }
}
const outcomes = async (vendor: TestVendor, count: number) => {
  const counts: Record<string, number> = {};
  for (let i = 0; i < count; i++) {
    const one = await outcome(vendor);
    counts[one] = (counts[one] ?? 0) + 1;
  }
  return counts;
};

describe('the simulated vendor', () => {
  it('never fails without chaos, and in every way with it, the same for the same seed', async () => {
    expect(await outcomes(await vendorOf(), 250)).toEqual({ page: 250 });
    const seen = await outcomes(await vendorOf({ chaos: 'hard', seed: '130' }), 250);
    expect(Object.keys(seen).sort()).toEqual(['broken', 'page', 'retry 99999', 'retry http_500', 'retry http_503', 'retry http_504']);
    expect(seen.page).toBe(243);
    const again = await vendorOf({ chaos: 'hard', seed: '130' });
    expect(await outcomes(again, 250)).toEqual(seen);
    const counted = again.vendor.book.answers()['v1/records/get_record_by_callId'];
    expect(counted).toEqual({ ok: seen.page, failed: 250 - seen.page! });
  }, 30_000);

  it('is out of reach during an outage, and back in its place afterwards', async () => {
    const vendor = await vendorOf();
    const outage = new Outage(vendor.vendor, 300);
    expect(await outcome(vendor)).toBe('page');
    outage.beginIn(0);
    const seen = new Set<string>();
    for (const deadline = Date.now() + 10_000; !(seen.has('broken') && seen.has('page')) && Date.now() < deadline; await sleep(5)) {
      const one = await outcome(vendor);
      if (one === 'broken' || seen.has('broken')) seen.add(one);
    }
    expect([...seen]).toEqual(['broken', 'page']);
    await outage.end();
    expect(await outcome(vendor)).toBe('page');
  });

  it('stays away when it is ended in the middle of an outage, and ends before one that has not begun', async () => {
    const calls: string[] = [];
    const vendor = { fail: async () => void calls.push('fail'), recover: async () => void calls.push('recover') };
    const later = new Outage(vendor, 1);
    later.beginIn(60_000);
    await later.end();
    expect(calls).toEqual([]);
    const now = new Outage(vendor, 60_000);
    now.beginIn(0);
    while (calls.length === 0) await sleep(1);
    await now.end();
    expect(calls).toEqual(['fail']);
  });

  it('says which port is taken, and leaves none open', async () => {
    const first = await vendorOf();
    const records = { endpoint: first.endpoint, generation: 'v1', identifier: 'a', secretKey: 'k' } as const;
    const opening = Vendor.open({
      apps: [{ app_id: '1', records }],
      channelApps: [],
      seed: '1',
      chaos: 'none',
      clock: systemClock,
      audited: false,
    });
    await expect(opening).rejects.toMatchObject({ code: 'PORT_TAKEN' });
    await expect(opening).rejects.toThrow(new URL(first.endpoint).port);
  });

  it('serves loopback only', async () => {
    expect(servedOrigin('http://127.0.0.1:8095')).toBe('http://127.0.0.1:8095');
    expect(servedOrigin('http://localhost:8095/')).toBe('http://localhost:8095');
    for (const other of [
      'https://127.0.0.1:8095',
      'http://10.0.0.1:8095',
      'http://127.0.0.1.example:80',
      'http://127.0.0.1:1/x',
      'nonsense',
    ])
      expect(servedOrigin(other)).toBe(null);
    const records = { endpoint: 'https://vendor.example', generation: 'v1', identifier: 'a', secretKey: 'k' } as const;
    expect(
      await Vendor.open({
        apps: [{ app_id: '1', records }],
        channelApps: [],
        seed: '1',
        chaos: 'none',
        clock: systemClock,
        audited: false,
      }),
    ).toBe(null);
  });

  it('forgets the oldest where nobody checks', async () => {
    const { CallArchive } = await import('../../src/simulator/vendor/call-archive.js');
    const calls = new CallArchive(100);
    const now = callFacts().end_at + 600_000;
    for (let i = 0; i < 1_000; i++) calls.add(callFacts({ call_id: `c-${i}`, start_at: callFacts().start_at + i }), now);
    const owed = [...calls.owed(now)].map((r) => r.call_id);
    expect(owed.length).toBeLessThanOrEqual(100);
    expect(owed.at(-1)).toBe('c-999');
    expect(calls.record(APP_ID, 'c-1', 'v1', now)).toBe(null);
    expect(calls.record(APP_ID, 'c-999', 'v1', now)).toContain('c-999');
  });
});

describe('a rate limit', () => {
  it('counts by key what it let pass in the last second', () => {
    const limit = new RateLimit();
    expect([0, 1, 2].map((at) => limit.take('a', 2, at))).toEqual([true, true, false]);
    expect(limit.take('b', 2, 2)).toBe(true);
    expect([999, 1_000, 1_000, 1_001].map((at) => limit.take('a', 2, at))).toEqual([false, true, false, true]);
  });
});
