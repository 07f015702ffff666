import type { ClickHouse } from './client.js';
import type { StoreFault } from './fault.js';

/** A minute whose touches are newer than what was rolled from them. Times in epoch seconds. */
interface Dirty {
  kind: 'metrics' | 'concurrency';
  app_id: string;
  bucket: number;
  /** Sum of the touches: the version of what is rolled now. */
  n: number;
  /** When the minute was rolled first, or the first of its calls was seen; 0: never. */
  first: number;
}

const MINUTES_PER_STATEMENT = 500;
const TIMEOUT_MS = 60_000;
/** Touches are stamped when their insert begins and seen when it ends: look back further than any insert lives. */
const LOOK_BACK_SECONDS = 60;

/**
 * Keeps the rollup tables equal to what a recomputation from `calls_latest` gives.
 *
 * For a minute that was touched it reads the sum of the touches first and computes from the calls afterwards; the result is stored with that sum as its
 * version. Rows are inserted before their touch, so a result of version n has seen every row that n touches stand for; a later touch has a larger
 * sum and wins. Two rollers at once, or a crash at any point, do no harm: all there is to know is in the tables.
 */
export class Roller {
  readonly #client: ClickHouse;
  readonly #keepCallsSeconds: number;
  readonly #fault: StoreFault | undefined;
  /** Server time up to which every touch has been looked at, epoch seconds; null: compare everything once. */
  #seen: number | null = null;

  /**
   * @param keepCallsMs retention of calls: a minute whose calls may have expired is not computed any more
   * @param fault for tests
   */
  constructor(client: ClickHouse, keepCallsMs: number, fault?: StoreFault) {
    this.#client = client;
    this.#keepCallsSeconds = Math.floor(keepCallsMs / 1000);
    this.#fault = fault;
  }

  /**
   * Recomputes every minute that was touched since it was last rolled. Returns their number; `onDirty` is told how many are left, before the work and on the way.
   * @throws ClickHouseFailure
   */
  async pass(onDirty: (minutes: number) => void = () => {}): Promise<number> {
    const [clock] = await this.#client.query<{ now: number }>('SELECT toUnixTimestamp(now()) AS now');
    const dirty = await this.dirty();
    let left = dirty.length;
    onDirty(left);
    for (const kind of ['metrics', 'concurrency'] as const) {
      const minutes = dirty.filter((d) => d.kind === kind);
      for (let i = 0; i < minutes.length; i += MINUTES_PER_STATEMENT) {
        const some = minutes.slice(i, i + MINUTES_PER_STATEMENT);
        await this.#roll(kind, some);
        left -= some.length;
        onDirty(left);
      }
    }
    this.#seen = clock!.now;
    return dirty.length;
  }

  /** Minutes whose rollup is older than their touches; only recently touched ones once everything has been compared. */
  async dirty(): Promise<Dirty[]> {
    const recent =
      this.#seen === null
        ? ''
        : 'WHERE (kind, app_id, bucket) IN (SELECT kind, app_id, bucket FROM touched WHERE touched_at >= {since:UInt32})';
    const rolled = (kind: string) =>
      `SELECT '${kind}' AS kind, app_id, bucket, max(n) AS n, min(first_rolled_at) AS first FROM ${kind}_minutes
       ${this.#seen === null ? '' : `WHERE (app_id, bucket) IN (SELECT app_id, bucket FROM touched WHERE touched_at >= {since:UInt32} AND kind = '${kind}')`}
       GROUP BY app_id, bucket`;
    return this.#client.query<Dirty>(
      `SELECT toString(t.kind) AS kind, t.app_id AS app_id, toUnixTimestamp(t.bucket) AS bucket, t.n AS n, toUnixTimestamp(r.first) AS first
       FROM (SELECT kind, app_id, bucket, sum(n) AS n FROM touched ${recent} GROUP BY kind, app_id, bucket) AS t
       LEFT JOIN (${rolled('metrics')} UNION ALL ${rolled('concurrency')}) AS r
         ON toString(t.kind) = r.kind AND t.app_id = r.app_id AND t.bucket = r.bucket
       WHERE t.n > r.n AND (first = 0 OR first + {keep:UInt64} > toUnixTimestamp(now()))
       ORDER BY bucket
       SETTINGS join_use_nulls = 0`,
      { since: Math.max(0, (this.#seen ?? 0) - LOOK_BACK_SECONDS), keep: this.#frozenAfter() },
      TIMEOUT_MS,
    );
  }

  /** A minute that began longer ago than this may have calls that have expired. */
  #frozenAfter(): number {
    return Math.floor(this.#keepCallsSeconds * 0.9);
  }

  async #roll(kind: Dirty['kind'], minutes: readonly Dirty[]): Promise<void> {
    await this.#fault?.('store:before-roll');
    await this.#client.command(
      kind === 'metrics' ? ROLL_METRICS : ROLL_CONCURRENCY,
      {
        apps: minutes.map((m) => m.app_id),
        buckets: minutes.map((m) => m.bucket),
        ns: minutes.map((m) => m.n),
        firsts: minutes.map((m) => m.first),
      },
      TIMEOUT_MS,
    );
    await this.#fault?.('store:after-roll');
  }
}

/** The set of minutes alone, beside the pairs with the app: so the ranges of started_at, accepted_at and ended_at that the table keeps leave out what lies elsewhere. */
const DIRTY = `dirty AS
(
    SELECT d.1 AS app_id, toDateTime(d.2, 'UTC') AS bucket, d.3 AS n, toDateTime(if(d.4 = 0, toUnixTimestamp(now()), d.4), 'UTC') AS first_rolled_at
    FROM (SELECT arrayJoin(arrayZip({apps:Array(String)}, {buckets:Array(UInt32)}, {ns:Array(UInt64)}, {firsts:Array(UInt32)})) AS d)
)`;

/** A call that is stored late, as by a rebuild, expires no later than others that began with it. */
const firstOf = (seen: string): string =>
  `if(toUnixTimestamp64Milli(${seen}) = 0, d.first_rolled_at, least(d.first_rolled_at, toDateTime(${seen}, 'UTC')))`;

/**
 * Rows of calls with this time in a dirty minute. The key has the hour in which a call was first seen: only the hours are read in which any revision has such a time, which are
 * those of the latest revisions at least; else FINAL looks for other revisions wherever keys might lie between those that the ranges have left. What is stored while this is
 * computed may be seen by one of the two reads alone: its touch is yet to come.
 */
const inDirty = (time: string): string => `toStartOfMinute(${time}) IN (SELECT bucket FROM dirty)
          AND toStartOfHour(first_seen_at) IN (SELECT toStartOfHour(first_seen_at) FROM calls_latest WHERE toStartOfMinute(${time}) IN (SELECT bucket FROM dirty))`;

/** Every log bin is 1.5% wide: its middle is at most 0.75% off, and 0.95% after rounding to a whole millisecond (bins of one value up to 256). */
export const binOf = (value: string): string =>
  `[toUInt16(if(${value} <= 256, ${value}, 256 + ceil(log(${value} / 256) / log(1.015))))], [toUInt64(1)]`;

const ROLL_METRICS = `INSERT INTO metrics_minutes (app_id, bucket, n, first_rolled_at, rolled_at, groups)
WITH ${DIRTY}
SELECT d.app_id, d.bucket, d.n, ${firstOf('m.seen')}, now(), m.groups
FROM dirty AS d
LEFT JOIN
(
    SELECT
        app_id, bucket,
        groupArray((provider, call_type, media_type, calls, answered, no_answer, rejected, busy, cancelled, failed, unknown, missed_calls, missed_any,
            ring_sum, talk_sum, ring_bins, talk_bins)) AS groups,
        min(first_seen) AS seen
    FROM
    (
        SELECT
            app_id, toDateTime(toStartOfMinute(started_at), 'UTC') AS bucket, provider, call_type, media_type,
            count() AS calls,
            countIf(outcome = 'answered') AS answered, countIf(outcome = 'no_answer') AS no_answer, countIf(outcome = 'rejected') AS rejected,
            countIf(outcome = 'busy') AS busy, countIf(outcome = 'cancelled') AS cancelled, countIf(outcome = 'failed') AS failed,
            countIf(outcome = 'unknown') AS unknown, countIf(missed) AS missed_calls, countIf(missed_inclusive) AS missed_any,
            sum(ring_ms) AS ring_sum, sum(talk_ms) AS talk_sum,
            sumMap(${binOf('ring_ms')}) AS ring_bins, sumMapIf(${binOf('talk_ms')}, outcome = 'answered') AS talk_bins,
            min(first_seen_at) AS first_seen
        FROM calls_latest FINAL
        WHERE ${inDirty('started_at')}
          AND app_id IN {apps:Array(String)} AND status = 'ended' AND end_reason != 'merged'
          AND (app_id, toDateTime(toStartOfMinute(started_at), 'UTC')) IN (SELECT app_id, bucket FROM dirty)
        GROUP BY app_id, bucket, provider, call_type, media_type
    )
    GROUP BY app_id, bucket
) AS m ON d.app_id = m.app_id AND d.bucket = m.bucket
SETTINGS join_use_nulls = 0`;

const edges = (column: string, step: number): string => `
        SELECT app_id, toDateTime(toStartOfMinute(assumeNotNull(${column})), 'UTC') AS bucket,
            toInt64(toUnixTimestamp64Milli(assumeNotNull(${column})) % 60000) AS offset, toInt64(${step}) AS step, first_seen_at
        FROM calls_latest FINAL
        WHERE ${inDirty(column)}
          AND app_id IN {apps:Array(String)} AND status = 'ended' AND end_reason != 'merged' AND ended_at > accepted_at
          AND (app_id, toDateTime(toStartOfMinute(assumeNotNull(${column})), 'UTC')) IN (SELECT app_id, bucket FROM dirty)`;

/**
 * Ends and beginnings at one moment stay two steps, ends first, for the count never to be above what it is before or after: a rollup tells of how many edges it was
 * made (`retouch.ts`) and when the first of their calls was seen.
 */
const ROLL_CONCURRENCY = `INSERT INTO concurrency_minutes (app_id, bucket, n, first_rolled_at, rolled_at, offsets, steps, net, peak, area)
WITH ${DIRTY}
SELECT
    d.app_id, d.bucket, d.n, ${firstOf('e.seen')}, now(), e.edges.1, e.edges.2,
    arraySum(e.edges.2),
    if(empty(e.edges), 0, greatest(arrayMax(arrayCumSum(e.edges.2)), if(e.edges.1[1] > 0, 0, arrayMax(arrayCumSum(e.edges.2))))),
    arraySum(s -> s.2 * (60000 - s.1), e.edges)
FROM dirty AS d
LEFT JOIN
(
    SELECT app_id, bucket, arraySort(groupArray((offset, change))) AS edges, min(first_seen) AS seen
    FROM
    (
        SELECT app_id, bucket, offset, sum(step) AS change, min(first_seen_at) AS first_seen
        FROM
        (${edges('accepted_at', 1)}
        UNION ALL${edges('ended_at', -1)}
        )
        GROUP BY app_id, bucket, offset, step
    )
    GROUP BY app_id, bucket
) AS e ON d.app_id = e.app_id AND d.bucket = e.bucket
SETTINGS join_use_nulls = 0`;
