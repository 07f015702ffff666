import { getOrMake } from '../maps.js';

/** The measures of a call that the rollups need, whether from the truth or from a row. */
export interface Measured {
  app_id: string;
  call_type: string;
  media_type: string;
  status: string;
  outcome: string;
  end_reason: string;
  started_at: number;
  accepted_at: number | null;
  ended_at: number | null;
  ring_ms: number;
  talk_ms: number;
  missed: boolean;
  missed_inclusive: boolean;
}

/** One row of metrics_1m, metrics_1h or metrics_1d. Rates are null where their denominator is 0. */
export interface Cell {
  bucket: number;
  app_id: string;
  call_type: string;
  media_type: string;
  calls: number;
  answered: number;
  no_answer: number;
  rejected: number;
  busy: number;
  cancelled: number;
  failed: number;
  unknown: number;
  missed: number;
  missed_inclusive: number;
  ring_ms_sum: number;
  talk_ms_sum: number;
  asr: number | null;
  ner: number | null;
  acd_ms: number | null;
  ring_p50_ms: number | null;
  ring_p95_ms: number | null;
  talk_p50_ms: number | null;
  talk_p95_ms: number | null;
}

export const cellKey = (c: Pick<Cell, 'bucket' | 'app_id' | 'call_type' | 'media_type'>): string =>
  JSON.stringify([new Date(c.bucket).toISOString(), c.app_id, c.call_type, c.media_type]);

const OUTCOMES = ['answered', 'no_answer', 'rejected', 'busy', 'cancelled', 'failed', 'unknown'] as const;

/** semantics.md "Relations": calls that are over and not merged, in the bucket of started_at. */
export function rollup(calls: Iterable<Measured>, width: number): Map<string, Cell> {
  const groups = new Map<string, { bucket: number; calls: Measured[] }>();
  for (const call of calls) {
    if (call.status !== 'ended' || call.end_reason === 'merged') continue;
    const bucket = Math.floor(call.started_at / width) * width;
    const key = cellKey({ bucket, app_id: call.app_id, call_type: call.call_type, media_type: call.media_type });
    getOrMake(groups, key, () => ({ bucket, calls: [] })).calls.push(call);
  }
  return new Map([...groups].map(([key, group]) => [key, cellOf(group.bucket, group.calls)]));
}

function cellOf(bucket: number, calls: Measured[]): Cell {
  const first = calls[0]!;
  const by = Object.fromEntries(OUTCOMES.map((o) => [o, calls.filter((c) => c.outcome === o).length])) as Record<
    (typeof OUTCOMES)[number],
    number
  >;
  const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
  const ring = calls.map((c) => c.ring_ms);
  const talk = calls.filter((c) => c.outcome === 'answered').map((c) => c.talk_ms);
  const talkSum = sum(calls.map((c) => c.talk_ms));
  return {
    bucket,
    app_id: first.app_id,
    call_type: first.call_type,
    media_type: first.media_type,
    calls: calls.length,
    ...by,
    missed: calls.filter((c) => c.missed).length,
    missed_inclusive: calls.filter((c) => c.missed_inclusive).length,
    ring_ms_sum: sum(ring),
    talk_ms_sum: talkSum,
    asr: by.answered / calls.length,
    ner: (by.answered + by.no_answer + by.rejected + by.busy + by.cancelled) / calls.length,
    acd_ms: by.answered === 0 ? null : talkSum / by.answered,
    ring_p50_ms: nearestRank(ring, 0.5),
    ring_p95_ms: nearestRank(ring, 0.95),
    talk_p50_ms: nearestRank(talk, 0.5),
    talk_p95_ms: nearestRank(talk, 0.95),
  };
}

/** The smallest value with at least `share` of all values at or below it. */
export function nearestRank(values: readonly number[], share: number): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length - 1e-9) - 1)]!;
}

const MINUTE = 60_000;

/** One row of concurrency_1m. */
export interface ConcurrencyMinute {
  bucket: number;
  app_id: string;
  peak: number;
  /** Milliseconds of calls in the minute, divided by 60,000. */
  average: number;
}

export const minuteKey = (m: Pick<ConcurrencyMinute, 'bucket' | 'app_id'>): string =>
  JSON.stringify([new Date(m.bucket).toISOString(), m.app_id]);

/**
 * Every call counted over [accepted_at, ended_at), an open call until `now`, and no call beyond it, whatever end a vendor has named; only minutes with a
 * call. A call that is over without a known end does not count.
 */
export function concurrency(calls: Iterable<Measured>, now: number): Map<string, ConcurrencyMinute> {
  const steps = new Map<string, Map<number, { at: number; step: 1 | -1 }[]>>();
  for (const call of calls) {
    if (call.accepted_at === null || call.end_reason === 'merged') continue;
    const from = call.accepted_at;
    const end = call.status === 'ended' ? call.ended_at : now;
    if (end === null) continue;
    const to = Math.min(end, now);
    if (to <= from) continue;
    const minutes = getOrMake(steps, call.app_id, () => new Map<number, { at: number; step: 1 | -1 }[]>());
    for (let bucket = Math.floor(from / MINUTE) * MINUTE; bucket < to; bucket += MINUTE) {
      getOrMake(minutes, bucket, () => []).push({ at: Math.max(from, bucket), step: 1 }, { at: Math.min(to, bucket + MINUTE), step: -1 });
    }
  }
  const out = new Map<string, ConcurrencyMinute>();
  for (const [app_id, minutes] of steps) {
    for (const [bucket, list] of minutes) {
      // Half-open: at one instant an end comes before a start.
      list.sort((a, b) => a.at - b.at || a.step - b.step);
      let now = 0;
      let peak = 0;
      let area = 0;
      let last = bucket;
      for (const { at, step } of list) {
        area += now * (at - last);
        last = at;
        now += step;
        peak = Math.max(peak, now);
      }
      out.set(minuteKey({ bucket, app_id }), { bucket, app_id, peak, average: area / MINUTE });
    }
  }
  return out;
}
