import type { ClickHouse } from './client.js';
import { ClickHouseFailure } from './errors.js';
import { textsOf } from './keys.js';

/** Notes that what is stored lacks what was published before, until {@link endRebuilds}. `now`: epoch ms. @throws ClickHouseFailure */
export async function wantRebuild(client: ClickHouse, id: string, now: number): Promise<void> {
  await client.command(
    'INSERT INTO rebuilds (rebuild_id, wanted_at, done) VALUES ({id:String}, fromUnixTimestamp64Milli({now:Int64}), 0)',
    { id, now },
  );
}

/** Ids of the rebuilds that are wanted or under way, oldest first. @throws ClickHouseFailure */
export async function openRebuilds(client: ClickHouse): Promise<string[]> {
  const rows = await client.query<{ rebuild_id: string }>('SELECT rebuild_id FROM rebuilds FINAL WHERE done = 0 ORDER BY wanted_at');
  return rows.map((row) => row.rebuild_id);
}

/** Everything that these rebuilds were wanted for is stored. @throws ClickHouseFailure */
export async function endRebuilds(client: ClickHouse, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await client.command(
    `INSERT INTO rebuilds (rebuild_id, wanted_at, done)
     SELECT rebuild_id, wanted_at, 1 FROM rebuilds FINAL WHERE done = 0 AND rebuild_id IN (SELECT arrayJoin(${textsOf(ids)}))`,
  );
}

/**
 * For whoever concludes anything from what is not stored: a call that has left a worker's state, and is missing here, would begin again.
 * @throws ClickHouseFailure CLICKHOUSE_UNAVAILABLE while a rebuild is not done
 */
export async function requireComplete(client: ClickHouse): Promise<void> {
  const open = await openRebuilds(client);
  if (open.length > 0)
    throw new ClickHouseFailure(
      'retriable',
      null,
      'looking up',
      new Error('the tables are not complete until `callstream rebuild` has ended'),
    );
}
