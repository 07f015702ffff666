import type { Clock } from '../../telemetry/clock.js';
import type { Ledger } from '../ledger.js';
import { getOrMake } from '../maps.js';
import type { Input } from '../truth/call.js';
import { callKey, type TruthDeadLetter, type TruthDeliveries, type TruthEvent } from '../truth/deliveries.js';
import { type Differences, shorten } from './differences.js';
import { type Fate, standingsOf } from './fate.js';
import type { Query, Sleep } from './ports.js';
import { callRows, deadLetterRows, type EventRow, eventRows, legRows } from './rows.js';

export interface OwnCall {
  app_id: string;
  call_id: string;
  inputs: Input[];
  fate: Fate;
}

export interface Comparison {
  query: Query;
  apps: readonly string[];
  begin_at: number;
  clock: Clock;
  sleep: Sleep;
  /** sessions.settle, ms. */
  settle: number;
  /** The run's own calls with the truth about them, by {@link callKey}. */
  calls: ReadonlyMap<string, OwnCall>;
  deliveries: TruthDeliveries;
  differences: Differences;
  /** Revision of each own call's row, for the comparison with the topic; filled by {@link compareCalls}. */
  revisions?: Map<string, number>;
}

export const nameOf = (c: { app_id: string; call_id: string }): string => `${c.app_id} ${JSON.stringify(shorten(c.call_id))}`;

/** Acknowledged is stored, and stored was sent. Returns the number of distinct requests. */
export function compareRequests(ledger: Ledger, raw: ReadonlyMap<string, ReadonlySet<string>>, differences: Differences): number {
  for (const [id, entry] of ledger.entries) {
    const stored = raw.get(id)?.size ?? 0;
    if (stored < entry.acknowledged)
      differences.add('lost request', `answered 200 ${entry.acknowledged} times, stored ${stored} times: ${entry.excerpt}`);
    if (stored > entry.attempts)
      differences.add('invented request', `sent ${entry.attempts} times, stored ${stored} times: ${entry.excerpt}`);
    if (entry.expect === 403 && stored > 0) differences.add('invented request', `refused, yet stored: ${entry.excerpt}`);
  }
  for (const answer of ledger.unexpected) differences.add('answer', `${answer.status} where ${answer.expected} was due: ${answer.excerpt}`);
  return ledger.entries.size;
}

/** `calls` row by row. Returns the number of calls compared. */
export async function compareCalls(c: Comparison): Promise<number> {
  const seen = new Set<string>();
  const revisions = new Map<string, number>();
  const from = c.clock.now();
  for await (const page of callRows(c.query, c.apps)) {
    const to = c.clock.now();
    for (const row of page) {
      const key = callKey(row.app_id, row.call_id);
      const own = c.calls.get(key);
      if (own === undefined) {
        if (row.first_seen_at >= c.begin_at && !c.deliveries.allCalls.has(key)) c.differences.add('invented call', nameOf(row));
        continue;
      }
      if (seen.has(key)) c.differences.add('double call', nameOf(row));
      seen.add(key);
      revisions.set(key, row.revision);
      const expected = standingsOf(own.fate, c.settle, from, to).map(({ truth, final }) => {
        const { legs: _legs, times_out_at: _timesOutAt, ...facts } = truth;
        return { provider: 'tencent', ...facts, final };
      });
      c.differences.fields('call', nameOf(row), expected, { ...row, anomalies: [...row.anomalies].sort() });
      const arrivals = own.inputs.map((i) => i.received_at);
      if (!arrivals.includes(row.first_seen_at))
        c.differences.add('call', `${nameOf(row)}: first_seen_at ${row.first_seen_at} is no arrival of its inputs`);
      if (row.updated_at < row.first_seen_at || row.updated_at > to + 60_000)
        c.differences.add('call', `${nameOf(row)}: updated_at ${row.updated_at} is implausible`);
      if (!(row.revision >= 1)) c.differences.add('call', `${nameOf(row)}: revision ${row.revision}`);
    }
  }
  for (const [key, own] of c.calls) if (!seen.has(key)) c.differences.add('missing call', nameOf(own));
  c.revisions = revisions;
  return seen.size;
}

/** A timeout changes what legs say, never whose they are. */
const usersOf = (own: OwnCall): string[] => own.fate.open.legs.map((leg) => leg.user_id);

/** `call_legs` row by row. Returns the number of legs compared. */
export async function compareLegs(c: Comparison): Promise<number> {
  let compared = 0;
  const from = c.clock.now();
  for await (const page of legRows(c.query, c.apps)) {
    const to = c.clock.now();
    const byCall = new Map<string, typeof page>();
    for (const row of page) {
      const key = callKey(row.app_id, row.call_id);
      if (!c.calls.has(key)) continue;
      getOrMake(byCall, key, () => []).push(row);
    }
    for (const [key, rows] of byCall) {
      const own = c.calls.get(key)!;
      const standings = standingsOf(own.fate, c.settle, from, to);
      const expected = new Set(usersOf(own));
      for (const row of rows) {
        const what = `${nameOf(own)} user ${JSON.stringify(shorten(row.user_id))}`;
        if (!expected.has(row.user_id)) {
          c.differences.add('invented leg', what);
          continue;
        }
        compared++;
        const readings = standings.map(({ truth }) => ({
          ...truth.legs.find((leg) => leg.user_id === row.user_id),
          media_joined_at: null,
          media_left_at: null,
          media_drops: 0,
          call_started_at: truth.started_at,
        }));
        c.differences.fields('leg', what, readings, row);
        // A call closed by a timeout is published again now and then, so a later reading may show a later revision; never an earlier one.
        if (Number(row.revision) < (c.revisions?.get(key) ?? 0))
          c.differences.add('leg', `${what}: revision ${row.revision} is older than its call's`);
        expected.delete(row.user_id);
      }
    }
    // A call's legs are on one page; calls without any row on their page are found by the total below.
  }
  const total = [...c.calls.values()].reduce((n, own) => n + usersOf(own).length, 0);
  if (compared !== total) c.differences.add('missing leg', `${total} legs in all, ${compared} found`);
  return compared;
}

/** `call_events` row by row. Returns the number of events compared. */
export async function compareEvents(c: Comparison): Promise<number> {
  /** By delivery: one of v4 holds several. */
  const expected = new Map<string, TruthEvent[]>();
  for (const e of c.deliveries.events.values()) getOrMake(expected, `${e.raw_partition}:${e.raw_offset}`, () => []).push(e);
  const ids = new Set<string>();
  let compared = 0;
  for await (const page of eventRows(c.query, c.apps)) {
    for (const row of page) {
      if (!c.calls.has(callKey(row.app_id, row.call_id))) continue;
      const origin = `${row.raw_partition}:${row.raw_offset}`;
      const due = expected.get(origin) ?? [];
      const event = due.find((e) => e.event === row.event && e.user_id === row.user_id) ?? due[0];
      if (event === undefined) {
        c.differences.add('invented event', `${describe(row)} from ${row.raw_topic} ${origin}`);
        continue;
      }
      compared++;
      due.splice(due.indexOf(event), 1);
      const fields = {
        ...event,
        event_at: event.event_at ?? event.received_at,
        provider: 'tencent',
        source: 'tuicallkit',
        raw_topic: 'callstream.raw.tuicallkit',
      };
      c.differences.fields('event', describe(row), fields, row);
      if (ids.has(row.event_id)) c.differences.add('event', `${describe(row)}: event_id is not unique`);
      ids.add(row.event_id);
    }
  }
  for (const event of [...expected.values()].flat()) c.differences.add('missing event', describe(event));
  return compared;
}

const describe = (e: Pick<EventRow, 'app_id' | 'call_id'> & { event?: unknown; user_id?: unknown }): string =>
  `${nameOf(e)} ${e.event} of ${shorten(String(e.user_id))}`;

/** Every dead letter of the run: same bytes, same arrival. Returns their number. */
export async function compareDeadLetters(c: Comparison): Promise<number> {
  const keyOf = (d: { app_id: string; received_at: number; sha1: string }) => JSON.stringify([d.app_id, d.received_at, d.sha1]);
  const expected = new Map<string, TruthDeadLetter[]>();
  const bodies = new Set<string>();
  for (const letter of c.deliveries.deadLetters) {
    getOrMake(expected, keyOf(letter), () => []).push(letter);
    bodies.add(letter.sha1);
  }
  let compared = 0;
  for (const row of await deadLetterRows(c.query, c.apps, c.begin_at)) {
    const letter = expected.get(keyOf(row))?.pop();
    const what = `${row.stage}/${row.reason} (${row.error.slice(0, 80)}) of ${row.app_id}`;
    if (letter) {
      compared++;
      c.differences.fields('dead letter', what, { stage: 'parse', source: 'tuicallkit' }, row);
      if (row.reason === '' || row.error === '') c.differences.add('dead letter', `${what}: no reason or no explanation`);
    } else if (bodies.has(row.sha1) || row.stage !== 'parse') c.differences.add('invented dead letter', what);
  }
  for (const left of expected.values()) {
    for (const letter of left)
      c.differences.add('missing dead letter', `${letter.why}, ${letter.app_id}, partition ${letter.partition} offset ${letter.offset}`);
  }
  return compared;
}
