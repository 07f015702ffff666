import { expect } from 'vitest';
import type { ClickHouse } from '../../src/clickhouse/index.js';
import type { Call, CallEvent, DeadLetter } from '../../src/codec/generated.js';
import { concurrencyOf, deliveryMinutesOf, eventsOf, latestOf, metricsOf, unreturnedOf } from './clickhouse-model.js';

const DAY = 86_400_000;

/** What was stored: every revision, delivery and dead letter once, in any order. */
export interface Records {
  calls: Call[];
  events: CallEvent[];
  dead: DeadLetter[];
}

const json = (rows: readonly unknown[]): string[] => rows.map((r) => JSON.stringify(r)).sort();
const ms = (column: string): string => `toUnixTimestamp64Milli(v.${column}) AS ${column}`;
const bucket = `toUnixTimestamp(v.bucket) * 1000 AS bucket`;

/** Compares every relation of the contract with its recomputation from the records. Concurrency up to the minute before this one: open calls go on. */
export async function expectViews(client: ClickHouse, { calls, events, dead }: Records): Promise<void> {
  const latest = latestOf(calls);

  const callColumns = `provider, app_id, call_id, room_id, call_type, media_type, caller, callees, total_users, status, outcome, end_reason,
    ${['started_at', 'accepted_at', 'ended_at'].map(ms)}, ring_ms, talk_ms, missed, missed_inclusive, final, sources, anomalies,
    ${['first_seen_at', 'updated_at'].map(ms)}, revision`;
  const shown = (c: Call) => ({
    provider: c.provider,
    app_id: c.app_id,
    call_id: c.call_id,
    room_id: c.room_id,
    call_type: c.call_type,
    media_type: c.media_type,
    caller: c.caller,
    callees: c.callees,
    total_users: c.total_users,
    status: c.status,
    outcome: c.outcome,
    end_reason: c.end_reason,
    started_at: c.started_at,
    accepted_at: c.accepted_at,
    ended_at: c.ended_at,
    ring_ms: c.ring_ms,
    talk_ms: c.talk_ms,
    missed: c.missed,
    missed_inclusive: c.missed_inclusive,
    final: c.final,
    sources: c.sources,
    anomalies: c.anomalies,
    first_seen_at: c.first_seen_at,
    updated_at: c.updated_at,
    revision: c.revision,
  });
  expect(json(await client.query(`SELECT ${callColumns} FROM calls AS v`))).toEqual(json(latest.map(shown)));

  const legs =
    await client.query(`SELECT provider, app_id, call_id, user_id, role, outcome, ${['rang_at', 'joined_at', 'left_at'].map(ms)}, talk_ms,
    missed, missed_inclusive, platform, ${['media_joined_at', 'media_left_at'].map(ms)}, media_drops, ${ms('call_started_at')}, revision FROM call_legs AS v`);
  expect(json(legs)).toEqual(
    json(
      latest
        .filter((c) => c.end_reason !== 'merged')
        .flatMap((c) =>
          c.legs.map((l) => ({
            provider: c.provider,
            app_id: c.app_id,
            call_id: c.call_id,
            user_id: l.user_id,
            role: l.role,
            outcome: l.outcome,
            rang_at: l.rang_at,
            joined_at: l.joined_at,
            left_at: l.left_at,
            talk_ms: l.talk_ms,
            missed: l.missed,
            missed_inclusive: l.missed_inclusive,
            platform: l.platform,
            media_joined_at: l.media_joined_at,
            media_left_at: l.media_left_at,
            media_drops: l.media_drops,
            call_started_at: c.started_at,
            revision: c.revision,
          })),
        ),
    ),
  );

  for (const [view, width] of [
    ['metrics_1m', 60_000],
    ['metrics_1h', 3_600_000],
    ['metrics_1d', DAY],
  ] as const) {
    const rows = await client.query<Record<string, number | string | null>>(`SELECT ${bucket}, * EXCEPT bucket FROM ${view} AS v`);
    const keyOf = (r: Record<string, unknown>) => JSON.stringify([r.bucket, r.provider, r.app_id, r.call_type, r.media_type]);
    const expected = metricsOf(latest, width);
    expect(rows.map(keyOf).sort()).toEqual(expected.map((r) => keyOf({ ...r })).sort());
    for (const want of expected) {
      const got = rows.find((r) => keyOf(r) === keyOf({ ...want }))!;
      expect(got).toMatchObject({ ...want.counts, acd_ms: want.acd_ms });
      expect(got.asr).toBeCloseTo(want.asr, 12);
      expect(got.ner).toBeCloseTo(want.ner, 12);
      for (const [name, value] of Object.entries(want.percentiles)) {
        if (value === null) expect(got[name]).toBeNull();
        else expect(Math.abs(Number(got[name]) - value)).toBeLessThanOrEqual(value * 0.01);
      }
    }
  }

  const [clock] = await client.query<{ now: number }>('SELECT toUnixTimestamp64Milli(now64(3)) AS now');
  const thisMinute = Math.floor(clock!.now / 60_000) * 60_000;
  const concurrency = await client.query<{ bucket: number }>(
    `SELECT ${bucket}, app_id, peak, round(average, 9) AS average FROM concurrency_1m AS v`,
  );
  expect(Math.max(...concurrency.map((r) => r.bucket), 0)).toBeLessThanOrEqual(Date.now());
  expect(json(concurrency.filter((r) => r.bucket < thisMinute))).toEqual(
    json(
      concurrencyOf(latest, clock!.now)
        .filter((r) => r.bucket < thisMinute)
        .map((r) => ({ ...r, average: Math.round(r.average * 1e9) / 1e9 })),
    ),
  );

  const unreturned = await client.query(
    `SELECT app_id, caller, callee, missed_count, ${['first_missed_at', 'last_missed_at'].map(ms)} FROM missed_unreturned AS v`,
  );
  expect(json(unreturned)).toEqual(json(unreturnedOf(latest)));

  const eventColumns = `provider, app_id, call_id, room_id, user_id, role, event, ${['event_at', 'received_at'].map(ms)}, source, platform, call_result,
    event_id, raw_topic, raw_partition, raw_offset, detail`;
  expect(json(await client.query(`SELECT ${eventColumns} FROM call_events AS v`))).toEqual(
    json(
      eventsOf(events).map(({ raw_index, polled: _polled, undelivered: _undelivered, ...e }) => ({
        ...e,
        event_at: e.event_at ?? e.received_at,
      })),
    ),
  );

  const letters = await client.query(
    `SELECT stage, reason, error, source, app_id, ${ms('received_at')}, hex(body) AS body, origin FROM dead_letters AS v`,
  );
  expect(json(letters)).toEqual(
    json(
      dead.map((d) => ({
        stage: d.stage,
        reason: d.reason,
        error: d.error,
        source: d.source,
        app_id: d.app_id,
        received_at: d.received_at,
        body: d.body.toString('hex').toUpperCase(),
        origin: [d.origin_topic, d.origin_partition, d.origin_offset, ...(d.origin_index < 0 ? [] : [d.origin_index])].join(':'),
      })),
    ),
  );

  const deliveries = deliveryMinutesOf(events, dead, latest);
  expect(json(await client.query(`SELECT ${bucket}, * EXCEPT bucket FROM delivery_minutes AS v`))).toEqual(json(deliveries));
  expect(json(await client.query(`SELECT ${bucket}, * EXCEPT bucket FROM delivery_health AS v`))).toEqual(
    json(deliveries.map(({ folded: _folded, dead: _dead, ...shown }) => shown)),
  );
}
