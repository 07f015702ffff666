import { beforeAll, describe, expect, test } from 'vitest';
import { Chunk, ClickHouse, Flush, migrateClickHouse, Roller } from '../../src/clickhouse/index.js';
import { localCodec } from '../../src/codec/codec.js';
import type { Call, CallEvent } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { blankCall, Dice, latestOf, randomDeadLetters, randomDeliveries, randomRevisions } from '../support/clickhouse-model.js';
import { expectViews, type Records } from '../support/clickhouse-views.js';
import { useStack } from '../support/stack.js';

const DAY = 86_400_000;
const RETENTION = { calls: 400 * DAY, events: 90 * DAY, metrics: 1826 * DAY };
const server = useStack(['clickhouse']);
const codec = localCodec(TOPICS.calls);
let databases = 0;

async function freshDatabase(): Promise<ClickHouse> {
  const client = new ClickHouse({
    url: server.clickhouseUrl,
    username: 'default',
    password: '',
    database: `views_${databases++}`,
    requestTimeoutMs: 60_000,
  });
  await migrateClickHouse(client, { retention: RETENTION });
  return client;
}

async function store(client: ClickHouse, { calls = [], events = [], dead = [] }: Partial<Records>): Promise<void> {
  const chunk = new Chunk();
  for (const c of calls) chunk.addCall(c, codec.encode(c));
  for (const e of events) chunk.addEvent(e);
  for (const d of dead) chunk.addDeadLetter(d);
  const flush = new Flush(client, createMetrics(), chunk);
  await flush.rows();
  await flush.touches();
}

describe('the relations of the contract', () => {
  test.each([1, 2, 3])(
    'are the recomputation from the latest records, whatever order and repetition they came in (seed %i)',
    async (seed) => {
      const dice = new Dice(seed * 7919);
      const client = await freshDatabase();
      const roller = new Roller(client, RETENTION.calls);
      const now = Date.now();
      const events = randomDeliveries(dice, 80, now);
      const all: Records = { calls: randomRevisions(dice, 60, now), events, dead: randomDeadLetters(dice, 20, now, events) };
      // Compaction of the topic removes revisions that have a later one.
      const latest = new Set(latestOf(all.calls));
      const calls = all.calls.filter((c) => latest.has(c) || dice.chance(0.8));
      const parts: Partial<Records>[] = [];
      for (let i = 0; i < 12; i++) {
        const some = <T>(list: T[]): T[] => dice.shuffle(list.filter(() => dice.chance(0.2)));
        parts.push({ calls: some(calls), events: some(all.events), dead: some(all.dead) });
      }
      parts.push({ calls: dice.shuffle([...calls]), events: all.events, dead: all.dead });
      for (const part of dice.shuffle(parts)) {
        await store(client, part);
        if (dice.chance(0.4)) await (dice.chance(0.5) ? roller : new Roller(client, RETENTION.calls)).pass();
        if (dice.chance(0.2))
          await client.command(`OPTIMIZE TABLE ${dice.pick(['calls_latest', 'call_event_rows', 'touched', 'metrics_minutes'])} FINAL`);
      }
      await roller.pass();
      expect(await new Roller(client, RETENTION.calls).dirty()).toEqual([]);
      await expectViews(client, { ...all, calls });
      await client.close();
    },
  );

  test('have the columns that the contract names, in its order', async () => {
    const client = await freshDatabase();
    const columns = async (view: string) =>
      (await client.query<{ name: string; type: string }>(`DESCRIBE TABLE ${view}`))
        .map((c) => (c.type.startsWith('Nullable') ? `${c.name}?` : c.name))
        .join(' ');
    expect(await columns('calls')).toBe(
      'provider app_id call_id room_id call_type media_type caller callees total_users status outcome end_reason started_at accepted_at? ended_at? ring_ms talk_ms missed missed_inclusive final sources anomalies first_seen_at updated_at revision',
    );
    expect(await columns('call_legs')).toBe(
      'provider app_id call_id user_id role outcome rang_at? joined_at? left_at? talk_ms missed missed_inclusive platform media_joined_at? media_left_at? media_drops call_started_at revision',
    );
    expect(await columns('call_events')).toBe(
      'provider app_id call_id room_id user_id role event event_at received_at source platform call_result event_id raw_topic raw_partition raw_offset detail',
    );
    for (const view of ['metrics_1m', 'metrics_1h', 'metrics_1d']) {
      expect(await columns(view)).toBe(
        'bucket provider app_id call_type media_type calls answered no_answer rejected busy cancelled failed unknown missed missed_inclusive ring_ms_sum talk_ms_sum asr? ner? acd_ms? ring_p50_ms? ring_p95_ms? talk_p50_ms? talk_p95_ms?',
      );
    }
    expect(await columns('concurrency_1m')).toBe('bucket app_id peak average');
    expect(await columns('missed_unreturned')).toBe('app_id caller callee missed_count first_missed_at last_missed_at');
    expect(await columns('dead_letters')).toBe('stage reason error source app_id received_at body origin');
    expect(await columns('delivery_health')).toBe(
      'bucket app_id source received duplicates delay_p50_ms? delay_p95_ms? calls_from_records_only undelivered',
    );
    await client.close();
  });
});

const start = Math.floor((Date.now() - 2 * 3_600_000) / 60_000) * 60_000;
const over = (c: Partial<Call>): Call => blankCall({ status: 'ended', end_reason: 'normal', outcome: 'answered', ...c });

describe('rollups', () => {
  let client: ClickHouse;
  let roller: Roller;
  beforeAll(async () => {
    client = await freshDatabase();
    roller = new Roller(client, RETENTION.calls);
  });

  test('forget a minute that its only call has left', async () => {
    const first = over({ call_id: 'moving', started_at: start, published_minutes: [start] });
    await store(client, { calls: [first] });
    await roller.pass();
    const buckets = () => client.query<{ b: number }>('SELECT toUnixTimestamp(bucket) * 1000 AS b FROM metrics_1m ORDER BY b');
    expect(await buckets()).toEqual([{ b: start }]);
    await store(client, {
      calls: [{ ...first, revision: 2, started_at: start + 120_000, published_minutes: [start, start + 120_000] }],
    });
    await roller.pass();
    expect(await buckets()).toEqual([{ b: start + 120_000 }]);
  });

  test('leave rates NULL where there is nothing to divide by', async () => {
    await store(client, {
      calls: [over({ app_id: 'none', call_id: 'a', outcome: 'busy', started_at: start, published_minutes: [start] })],
    });
    await roller.pass();
    expect(await client.query("SELECT asr, ner, acd_ms, ring_p50_ms, talk_p50_ms FROM metrics_1d WHERE app_id = 'none'")).toEqual([
      { asr: 0, ner: 1, acd_ms: null, ring_p50_ms: 0, talk_p50_ms: null },
    ]);
  });

  test('count a call from its first to its last millisecond, and calls that touch without overlapping as one', async () => {
    const talk = (call_id: string, accepted_at: number, ended_at: number): Call =>
      over({
        app_id: 'steps',
        call_id,
        started_at: start,
        accepted_at,
        ended_at,
        span_from: accepted_at,
        span_to: ended_at,
        published_minutes: [start],
      });
    await store(client, {
      calls: [
        talk('a', start + 1, start + 60_000),
        talk('b', start + 60_000, start + 60_000 + 59_999),
        talk('c', start + 180_000, start + 180_000),
      ],
    });
    await roller.pass();
    expect(
      await client.query("SELECT toUnixTimestamp(bucket) * 1000 AS b, peak, average FROM concurrency_1m WHERE app_id = 'steps' ORDER BY b"),
    ).toEqual([
      { b: start, peak: 1, average: 59_999 / 60_000 },
      { b: start + 60_000, peak: 1, average: 59_999 / 60_000 },
    ]);
  });

  test('let no edge stand that a call of many days once had in between', async () => {
    const day = 86_400_000;
    const revision = (n: number, accepted_at: number): Call =>
      over({
        app_id: 'days',
        call_id: 'a',
        revision: n,
        first_seen_at: start,
        started_at: start,
        published_minutes: [start],
        accepted_at,
        ended_at: start + 300_000,
        span_from: start - 40 * day,
        span_to: start + 300_000,
      });
    for (const call of [revision(1, start - 40 * day), revision(2, start - 20 * day), revision(3, start)]) {
      await store(client, { calls: [call] });
      await roller.pass();
    }
    expect(
      await client.query("SELECT toUnixTimestamp(bucket) * 1000 AS b, peak, average FROM concurrency_1m WHERE app_id = 'days' ORDER BY b"),
    ).toEqual([0, 1, 2, 3, 4].map((m) => ({ b: start + m * 60_000, peak: 1, average: 1 })));
  });

  test('count an open call until now, also where it began in the same minute as one that is over', async () => {
    const accepted_at = start + 30_000;
    await store(client, {
      calls: [
        over({
          app_id: 'open',
          call_id: 'a',
          started_at: start,
          accepted_at: start,
          ended_at: start + 40_000,
          span_from: start,
          span_to: start + 40_000,
        }),
        blankCall({ app_id: 'open', call_id: 'b', started_at: start, accepted_at, status: 'active', outcome: 'answered' }),
      ],
    });
    await roller.pass();
    const rows = await client.query<{ b: number; peak: number; average: number; now: number }>(
      "SELECT toUnixTimestamp(bucket) * 1000 AS b, peak, average, toUnixTimestamp64Milli(now64(3)) AS now FROM concurrency_1m WHERE app_id = 'open' ORDER BY b",
    );
    expect(rows[0]).toMatchObject({ b: start, peak: 2, average: 70 / 60 });
    expect(rows.slice(1, -1).every((r) => r.peak === 1 && r.average === 1)).toBe(true);
    const last = rows.at(-1)!;
    expect(last.b).toBe(Math.floor(last.now / 60_000) * 60_000);
    expect(rows.length).toBe((last.b - start) / 60_000 + 1);
  });

  test('an absurd accept or end of one call costs readers of a recent hour nothing, and no minute lies in the future', async () => {
    const [accepted_at, ended_at] = [Date.UTC(2000, 0, 1), Date.UTC(2096, 0, 1)];
    await store(client, {
      calls: [
        over({
          app_id: 'absurd',
          call_id: 'a',
          first_seen_at: start,
          started_at: accepted_at,
          accepted_at,
          ended_at,
          span_from: accepted_at,
          span_to: ended_at,
        }),
      ],
    });
    await roller.pass();
    const minutes = await client.query<{ b: number; peak: number; average: number; now: number }>(
      `SELECT toUnixTimestamp(bucket) AS b, peak, average, toUnixTimestamp(now()) AS now FROM concurrency_1m
       WHERE app_id = 'absurd' AND bucket > now() - INTERVAL 1 HOUR ORDER BY b SETTINGS max_memory_usage = 200000000`,
    );
    expect(minutes.length).toBe(60);
    expect(minutes.every((m) => m.peak === 1 && m.average === 1 && m.b <= m.now)).toBe(true);
  });
});

describe('calls that are known from records alone', () => {
  const minute = 60_000;
  const records = (...origins: string[]): Call['records'] => origins.map((origin) => ({ origin, text: '{}', received_at: start }));
  const known = (call_id: string, revision: number, more: Partial<Call>): Call =>
    over({
      app_id: 'lost',
      call_id,
      revision,
      started_at: start,
      first_seen_at: start,
      sources: ['record'],
      records: records('record'),
      ...more,
    });
  let client: ClickHouse;
  beforeAll(async () => {
    client = await freshDatabase();
  });
  const health = () =>
    client.query<{ b: number; source: string; n: number }>(
      `SELECT toUnixTimestamp(bucket) * 1000 AS b, source, calls_from_records_only AS n FROM delivery_health
       WHERE app_id = 'lost' AND calls_from_records_only > 0 ORDER BY b`,
    );
  const shown = (b: number, n: number) => ({ b, source: 'call-record', n });

  test('count in the minute in which they started, until the first callback arrives: also one over which the record wins', async () => {
    await store(client, { calls: ['moves', 'event', 'status', 'stays'].map((call) => known(call, 1, {})) });
    expect(await health()).toEqual([shown(start, 4)]);
    await store(client, { calls: [known('moves', 2, { started_at: start + minute, records: records('record', 'record') })] });
    expect(await health()).toEqual([shown(start, 3), shown(start + minute, 1)]);
    await store(client, { calls: [known('event', 2, { sources: ['event', 'record'] })] });
    expect(await health()).toEqual([shown(start, 2), shown(start + minute, 1)]);
    await store(client, { calls: [known('status', 2, { records: records('record', 'status') })] });
    expect(await health()).toEqual([shown(start, 1), shown(start + minute, 1)]);
    await store(client, { calls: [known('stays', 2, { sources: ['record', 'media'] }), known('stays', 1, {})] });
    expect(await health()).toEqual([shown(start, 1), shown(start + minute, 1)]);
  });

  test('come by deliveries that have no delay, and of which each distinct element is one', async () => {
    const poll = (event_id: string, offset: number, source: string, event_at: number | null): CallEvent => ({
      ...{
        provider: 'tencent',
        app_id: 'polled',
        call_id: 'c',
        room_id: '',
        user_id: '',
        role: '',
        event: 'record',
        event_at,
        source,
        event_id,
      },
      ...{ platform: '', call_result: '', received_at: start + offset * 1000, raw_topic: `callstream.raw.${source}`, raw_partition: 0 },
      ...{ raw_offset: offset, raw_index: 0, detail: '{}', polled: false, undelivered: false },
    });
    const events = [
      ...[0, 1, 2].map((offset) => poll('one', offset, 'call-record', null)),
      poll('other', 3, 'call-record', start - 3_600_000),
      ...[0, 1].map((offset) => poll('of a user', offset, 'user-event', start - 3_600_000)),
    ];
    await store(client, { events });
    await store(client, { events: events.slice(0, 2) });
    expect(
      await client.query(
        "SELECT source, received, duplicates, delay_p50_ms, delay_p95_ms FROM delivery_health WHERE app_id = 'polled' ORDER BY source",
      ),
    ).toEqual([
      { source: 'call-record', received: 4, duplicates: 2, delay_p50_ms: null, delay_p95_ms: null },
      { source: 'user-event', received: 2, duplicates: 1, delay_p50_ms: null, delay_p95_ms: null },
    ]);
  });
});

describe('the roller', () => {
  let client: ClickHouse;
  beforeAll(async () => {
    client = await freshDatabase();
  });

  test('misses nothing that is stored while a pass is under way, wherever in it (§3)', async () => {
    let at = 0;
    for (let stored = true; stored; at++) {
      const app_id = `race${at}`;
      const call = (call_id: string): Call =>
        over({
          app_id,
          call_id,
          started_at: start,
          published_minutes: [start],
          accepted_at: start,
          ended_at: start + 30_000,
          span_from: start,
          span_to: start + 30_000,
        });
      await store(client, { calls: [call('first')] });
      let steps = 0;
      stored = false;
      const interfere = async (): Promise<void> => {
        if (steps++ !== at) return;
        stored = true;
        await store(client, { calls: [call('second')] });
      };
      const disturbed: Pick<ClickHouse, 'query' | 'command'> = {
        query: async (...of) => {
          await interfere();
          return client.query(...of);
        },
        command: async (...of) => {
          await interfere();
          return client.command(...of);
        },
      };
      const racing = new Roller(disturbed as ClickHouse, RETENTION.calls);
      await racing.pass();
      if (stored) await racing.pass();
      const calls = stored ? 2 : 1;
      expect(await client.query(`SELECT calls FROM metrics_1m WHERE app_id = '${app_id}'`)).toEqual([{ calls }]);
      expect(await client.query(`SELECT peak FROM concurrency_1m WHERE app_id = '${app_id}'`)).toEqual([{ peak: calls }]);
    }
    expect(at).toBeGreaterThan(4);
  });

  test('finds a touch whose insert took so long that it is older than the last pass (§3)', async () => {
    const roller = new Roller(client, RETENTION.calls);
    await roller.pass();
    const touch = `('metrics', 'slow', toDateTime(${start / 1000}, 'UTC'), now64(3) - INTERVAL 45 SECOND)`;
    await client.command(`INSERT INTO touched (kind, app_id, bucket, touched_at) VALUES ${touch}`);
    expect(await roller.dirty()).toMatchObject([{ kind: 'metrics', app_id: 'slow', bucket: start / 1000, n: 1 }]);
  });
});
