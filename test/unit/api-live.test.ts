import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LiveHub, type LiveOptions } from '../../src/api/live.js';
import type { Row } from '../../src/api/query.js';

const START = 1_770_000_000_000;

/** Collects what one client got; `stuck` bytes never leave. */
class FakeOutlet {
  text = '';
  ended = false;
  destroyed = false;
  writableLength = 0;
  write(chunk: string): void {
    this.text += chunk;
  }
  end(): void {
    this.ended = true;
  }
  destroy(): void {
    this.destroyed = true;
  }
  get events(): {
    event: string;
    id: string;
    data: { calls?: { call_id: string; revision: number }[]; truncated?: boolean; ok?: boolean };
  }[] {
    return this.text
      .split('\n\n')
      .filter((frame) => frame.includes('data: '))
      .map((frame) => {
        const field = (name: string) =>
          frame
            .split('\n')
            .find((line) => line.startsWith(`${name}: `))
            ?.slice(name.length + 2) ?? '';
        return { event: field('event'), id: field('id'), data: JSON.parse(field('data')) };
      });
  }
  get revisions(): string[] {
    return this.events.flatMap((e) => e.data.calls ?? []).map((call) => `${call.call_id}@${call.revision}`);
  }
}

const row = (call_id: string, revision: number, updated_at: number, app_id = 'one'): Row => ({
  provider: 'tencent',
  app_id,
  call_id,
  revision,
  updated_at,
});

let table: Row[];
let failing: boolean;
let queries: { since: number; app: unknown }[];
let hub: LiveHub;

function create(options: Partial<LiveOptions> = {}): LiveHub {
  hub = new LiveHub({
    query: async (_sql, params) => {
      const since = Number(params.since);
      queries.push({ since, app: params.app });
      if (failing) throw new Error('away');
      return table
        .filter((r) => Number(r.updated_at) >= since && (params.app === undefined || r.app_id === params.app))
        .reverse()
        .slice(0, Number(params.limit));
    },
    clock: { now: () => Date.now() },
    onError: () => undefined,
    onClients: () => undefined,
    ...options,
  });
  return hub;
}

beforeEach(() => {
  vi.useFakeTimers({ now: START });
  table = [];
  queries = [];
  failing = false;
});
afterEach(() => {
  hub.close();
  vi.useRealTimers();
});

describe('the live tail', () => {
  it('asks the database once a second for all clients together, and not at all while nobody listens', async () => {
    create();
    await vi.advanceTimersByTimeAsync(5000);
    expect(queries).toHaveLength(0);
    const stops = [new FakeOutlet(), new FakeOutlet(), new FakeOutlet()].map((outlet) => hub.add(outlet, null, undefined));
    await vi.advanceTimersByTimeAsync(3000);
    expect(queries).toHaveLength(3);
    for (const stop of stops) stop();
    await vi.advanceTimersByTimeAsync(5000);
    expect(queries).toHaveLength(3);
  });

  it('never runs two loops, even when the last client leaves and another comes in the middle of a look', async () => {
    create();
    hub.add(new FakeOutlet(), null, undefined)();
    hub.add(new FakeOutlet(), null, undefined);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(queries).toHaveLength(10);
  });

  it('sends each revision of a call once, also those that appear later than newer ones', async () => {
    create();
    const outlet = new FakeOutlet();
    hub.add(outlet, null, undefined);
    table.push(row('a', 1, START + 500));
    await vi.advanceTimersByTimeAsync(1000);
    table.push(row('late', 1, START + 100), row('a', 2, START + 1500));
    await vi.advanceTimersByTimeAsync(3000);
    expect(outlet.revisions.sort()).toEqual(['a@1', 'a@2', 'late@1']);
  });

  it('tells every client when more has changed at once than it reads, and only then', async () => {
    create();
    const [all, other] = [new FakeOutlet(), new FakeOutlet()];
    hub.add(all, null, undefined);
    hub.add(other, null, 'two');
    const told = (outlet: FakeOutlet): unknown[] =>
      outlet.events.filter(({ event }) => event === 'calls').map(({ data }) => [data.calls?.length, data.truncated]);
    const some = (name: string, count: number, at: number): Row[] => Array.from({ length: count }, (_, i) => row(`${name}${i}`, 1, at));
    table.push(...some('many', 501, START + 500));
    await vi.advanceTimersByTimeAsync(1000);
    expect(told(all)).toEqual([[500, true]]);
    expect(told(other)).toEqual([[0, true]]);
    // The answer is full again, but reaches back to what has been sent.
    table.push(...some('few', 3, START + 1500));
    await vi.advanceTimersByTimeAsync(1000);
    expect(told(all).slice(1)).toEqual([[3, false]]);
    expect(told(other)).toHaveLength(1);
  });

  it('is not thrown off by a change from the future', async () => {
    create();
    const outlet = new FakeOutlet();
    hub.add(outlet, null, undefined);
    table.push(row('future', 1, START + 3_600_000));
    await vi.advanceTimersByTimeAsync(1000);
    table.push(row('now', 1, START + 1500));
    await vi.advanceTimersByTimeAsync(2000);
    expect(outlet.revisions).toEqual(['future@1', 'now@1']);
  });

  it('brings a client that comes back up to date from its last event, before anything newer', async () => {
    create({ overlapMs: 1000 });
    table.push(row('old', 1, START - 60_000), row('gap', 1, START - 20_000));
    const outlet = new FakeOutlet();
    hub.add(outlet, START - 30_000, undefined);
    await vi.advanceTimersByTimeAsync(1000);
    expect(outlet.revisions).toEqual(['gap@1']);
    expect(Number(outlet.events.find((e) => e.event === 'calls')?.id)).toBe(START - 20_000);
  });

  it('ends a client whose backlog cannot be read, so that it comes back with the same id', async () => {
    create();
    failing = true;
    const outlet = new FakeOutlet();
    hub.add(outlet, START - 1000, undefined);
    await vi.advanceTimersByTimeAsync(10);
    expect(outlet.ended).toBe(true);
    expect(hub.clients).toBe(0);
  });

  it('gives a client of one app only its calls', async () => {
    create();
    const [one, two, all] = [new FakeOutlet(), new FakeOutlet(), new FakeOutlet()];
    hub.add(one, null, 'one');
    hub.add(two, null, 'two');
    hub.add(all, null, undefined);
    table.push(row('x', 1, START + 1, 'one'), row('y', 1, START + 2, 'two'));
    await vi.advanceTimersByTimeAsync(1000);
    expect([one.revisions, two.revisions, all.revisions.sort()]).toEqual([['x@1'], ['y@1'], ['x@1', 'y@1']]);
  });

  it('drops a client that does not take what it is sent, and no other', async () => {
    create({ maxWaitingBytes: 100 });
    const [slow, quick] = [new FakeOutlet(), new FakeOutlet()];
    hub.add(slow, null, undefined);
    hub.add(quick, null, undefined);
    await vi.advanceTimersByTimeAsync(1000);
    slow.writableLength = 101;
    table.push(row('a', 1, START + 1500));
    await vi.advanceTimersByTimeAsync(1000);
    expect([slow.destroyed, quick.destroyed, hub.clients]).toEqual([true, false, 1]);
    expect(quick.revisions).toEqual(['a@1']);
  });

  it('says at once that the database is away, and that it is back', async () => {
    create();
    const outlet = new FakeOutlet();
    hub.add(outlet, null, undefined);
    failing = true;
    await vi.advanceTimersByTimeAsync(2500);
    failing = false;
    await vi.advanceTimersByTimeAsync(1000);
    expect(outlet.events.filter((e) => e.event === 'heartbeat').map((e) => e.data.ok)).toEqual([true, false, true]);
  });

  it('sends a heartbeat every ten seconds of silence', async () => {
    create();
    const outlet = new FakeOutlet();
    hub.add(outlet, null, undefined);
    await vi.advanceTimersByTimeAsync(31_000);
    expect(outlet.events.filter((e) => e.event === 'heartbeat')).toHaveLength(4);
  });

  it('is full at its limit', () => {
    create({ maxClients: 1 });
    hub.admit();
    hub.add(new FakeOutlet(), null, undefined);
    expect(() => hub.admit()).toThrow(expect.objectContaining({ code: 'LIVE_FULL', status: 503 }));
  });
});
