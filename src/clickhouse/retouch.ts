import type { ClickHouse } from './client.js';

const TIMEOUT_MS = 600_000;

/** What a minute weighs: of how many calls, or edges of calls, its rollup was made. */
interface Rollup {
  /** Of a stored rollup. */
  stored: string;
  /** By app and minute, of the calls that are there now. */
  present: string;
}

const OVER = "status = 'ended' AND end_reason != 'merged'";

const ROLLUPS: Readonly<Record<'metrics' | 'concurrency', Rollup>> = {
  metrics: {
    stored: 'arraySum(g -> g.calls, groups)',
    present: `SELECT app_id, toDateTime(toStartOfMinute(started_at), 'UTC') AS bucket, count() AS present
      FROM calls_latest FINAL WHERE ${OVER} GROUP BY app_id, bucket`,
  },
  concurrency: {
    stored: 'arraySum(step -> abs(step), steps)',
    present: `SELECT app_id, toDateTime(toStartOfMinute(edge), 'UTC') AS bucket, count() AS present
      FROM
      (
          SELECT app_id, arrayJoin([assumeNotNull(accepted_at), assumeNotNull(ended_at)]) AS edge
          FROM calls_latest FINAL WHERE ${OVER} AND ended_at > accepted_at
      )
      GROUP BY app_id, bucket`,
  },
};

/** Minutes by what becomes of their rollups. */
export interface Retouched {
  touched: number;
  /** They were made of more calls than are there: what is stored is all that is left of those. */
  kept: number;
}

/**
 * Touches the minutes whose rollups can be made anew from the calls that are stored: those that have none; those first rolled since `complete` (epoch ms; of
 * whatever was first seen since then, all is stored); and older ones, unless their rollup was made of more calls than are there now. What is touched becomes
 * newer than whatever was rolled, also where touches were lost. Repeating it only costs a recomputation.
 * @throws ClickHouseFailure
 */
export async function retouch(client: ClickHouse, complete: number): Promise<Retouched> {
  const done: Retouched = { touched: 0, kept: 0 };
  for (const kind of ['metrics', 'concurrency'] as const) {
    const minutes = minutesOf(kind);
    const params = { complete: Math.max(0, Math.ceil(complete / 1_000)) };
    const [row] = await client.query<Retouched>(
      `SELECT countIf(anew) AS touched, countIf(NOT anew) AS kept FROM (${minutes})`,
      params,
      TIMEOUT_MS,
    );
    await client.command(
      `INSERT INTO touched (kind, app_id, bucket, n)
       SELECT '${kind}', app_id, bucket, toUInt64(greatest(1, toInt64(version) + 1 - toInt64(known))) FROM (${minutes}) WHERE anew`,
      params,
      TIMEOUT_MS,
    );
    done.touched += row?.touched ?? 0;
    done.kept += row?.kept ?? 0;
  }
  return done;
}

/** Every minute that was rolled, or has something to roll. */
function minutesOf(kind: keyof typeof ROLLUPS): string {
  const { stored, present } = ROLLUPS[kind];
  return `SELECT
      app_id, bucket, max(n) AS version, max(touches) AS known,
      max(n) = 0 OR toUnixTimestamp(max(first)) >= {complete:UInt32} OR max(weight) <= max(present) AS anew
    FROM
    (
        SELECT app_id, bucket, n, toUInt64(${stored}) AS weight, first_rolled_at AS first, toUInt64(0) AS present, toUInt64(0) AS touches
        FROM ${kind}_minutes FINAL
        UNION ALL
        SELECT app_id, bucket, 0, 0, toDateTime(0, 'UTC'), toUInt64(present), 0 FROM (${present})
        UNION ALL
        SELECT app_id, bucket, 0, 0, toDateTime(0, 'UTC'), 0, sum(n) FROM touched WHERE kind = '${kind}' GROUP BY app_id, bucket
    )
    GROUP BY app_id, bucket
    HAVING version > 0 OR max(present) > 0`;
}
