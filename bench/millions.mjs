/** Millions of calls made by ClickHouse itself, straight into its tables, with what the sink and the roller would have made of them. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { binOf } from '../dist/clickhouse/roller.js';

export const APPS = ['1400000001', '1400000002', '1400000003'];
export const DAYS = 90;
/** Rows of one INSERT: a server with 4 GiB must sort them. */
const PIECE = 500_000;

/** A number below `n` that depends on the call and what it is for, and on nothing else. */
const dice = (what, n) => `(cityHash64(number, '${what}') % ${n})`;
const at = (ms) => `fromUnixTimestamp64Milli(toInt64(${ms}), 'UTC')`;

/**
 * Call `number` of `total`, the last of which starts at `until` (epoch ms). Days are busier than nights; users call a few others of their own, again and
 * again; 60% are answered, and 5% have four users.
 */
const story = (total, until) => `
  SELECT *,
    ['answered', 'answered', 'answered', 'answered', 'answered', 'answered', 'no_answer', 'no_answer', 'cancelled', 'rejected'][1 + ${dice('outcome', 10)}] AS drawn,
    if(${dice('odd', 50)} = 0, 'failed', if(${dice('odd', 50)} = 1, 'busy', drawn)) AS outcome,
    outcome = 'answered' AS answered,
    toUInt64(if(outcome = 'no_answer', 30000, 1500 + ${dice('ring', 22000)})) AS ring_ms,
    toUInt64(if(answered, 2000 + ${dice('talk', 600)} * ${dice('talk2', 1500)}, 0)) AS talk_ms,
    concat('user-', toString(${dice('caller', Math.ceil(total / 15))})) AS caller,
    arrayMap(k -> concat('user-', toString((${dice('caller', Math.ceil(total / 15))} + 1 + (${dice('callee', 5)} + k) * 7919) % ${Math.ceil(total / 15)})), range(if(${dice('group', 20)} = 0, 3, 1))) AS callees,
    started + ring_ms AS decided, decided + talk_ms AS ended
  FROM
  (
    SELECT number, ${JSON.stringify(APPS).replaceAll('"', "'")}[1 + least(2, intDiv(${dice('app', 10)}, 4))] AS app,
      toInt64(${until} - (${DAYS} * 86400000 / ${total}) * (${total} - number)) AS even,
      if(intDiv(even, 3600000) % 24 < 8 AND ${dice('night', 3)} > 0, even + 8 * 3600000, even) AS late,
      if(late < ${until}, late, even) AS started
    FROM numbers({from:UInt64}, {n:UInt64})
  )`;

const LEG = `arrayMap(u -> (u, if(u = caller, 'caller', 'callee'), outcome, if(u = caller, NULL, ${at('started + 300')}), if(answered, ${at('decided')}, NULL),
    if(answered, ${at('ended')}, NULL), talk_ms, u != caller AND outcome = 'no_answer', u != caller AND outcome IN ('no_answer', 'busy', 'cancelled'),
    ['iOS', 'Android', 'Web'][1 + ${dice('platform', 3)}], NULL, NULL, 0), arrayConcat([caller], callees))`;

const COLUMNS = `provider, app_id, call_id, room_id, call_type, media_type, caller, callees, total_users, status, outcome, end_reason, started_at, accepted_at,
  ended_at, ring_ms, talk_ms, missed, missed_inclusive, final, sources, anomalies, first_seen_at, updated_at, revision`;
const CALL = `'tencent', app, concat('call-', lower(hex(cityHash64(number, 'id'))), '-', toString(number)), concat('room-', toString(number)),
  if(length(callees) > 1, 'group', 'single'), if(${dice('media', 3)} = 0, 'audio', 'video'), caller, callees, length(callees) + 1, 'ended', outcome,
  if(answered, 'normal', outcome), ${at('started')}, if(answered, ${at('decided')}, NULL), ${at('ended')}, ring_ms, talk_ms, outcome = 'no_answer',
  outcome IN ('no_answer', 'busy', 'cancelled')`;

/** Statements that each take `from` and `n`, the numbers of the calls to make. */
const pieces = (total, until) => ({
  calls_latest: `INSERT INTO calls_latest (${COLUMNS}, legs, state)
    SELECT ${CALL}, true, ['event'], if(${dice('anomaly', 200)} = 0, ['missing_accept'], []), ${at('started + 120')}, ${at('ended + 30000')}, 3, ${LEG}, ''
    FROM (${story(total, until)})`,
  call_revisions: `INSERT INTO call_revisions (${COLUMNS})
    SELECT ${CALL}, revision = 3, ['event'], [], ${at('started + 120')}, ${at('ended + if(revision = 3, 30000, 0)')}, revision
    FROM (${story(total, until)}) ARRAY JOIN [2, 3] AS revision`,
  call_event_rows: `INSERT INTO call_event_rows
    SELECT 'tencent', app, concat('call-', lower(hex(cityHash64(number, 'id'))), '-', toString(number)), concat('room-', toString(number)), user, if(user = caller, 'caller', 'callee'),
      event, ${at('if(step < 3, started + 100 * step, ended)')}, ${at('if(step < 3, started + 100 * step, ended) + 150')}, 'tuicallkit', 'iOS', '',
      concat(toString(number), ':', toString(step)), 'callstream.raw.tuicallkit', number % 16, number * 4 + step, 0, '{}', 1
    FROM (${story(total, until)})
    ARRAY JOIN [caller, callees[1], caller, callees[1]] AS user, ['start_call', 'receive_call', if(answered, 'call_end', 'call_missed'), 'call_end'] AS event, [1, 2, 3, 4] AS step`,
  deliveries: `INSERT INTO deliveries (raw_topic, raw_partition, raw_offset, raw_index, app_id, source, received_at, delay_ms, event_id, dead_stage, dead_reason, dead)
    SELECT 'callstream.raw.tuicallkit', number % 16, number * 5 + step, 0, app, 'tuicallkit', ${at('if(step < 3, started + 100 * step, ended) + 150')},
      50 + cityHash64(number, step) % 400, if(dead = 1, '', concat(toString(number), ':', toString(least(step, 4)))), if(dead = 1, 'parse', ''), if(dead = 1, 'unknown_event', ''), dead
    FROM (SELECT *, step, toUInt8(step = 4 AND ${dice('dead', 5000)} = 0) AS dead
      FROM (${story(total, until)}) ARRAY JOIN if(${dice('twice', 50)} = 0, [1, 2, 3, 4, 5], [1, 2, 3, 4]) AS step)`,
  dead_letter_rows: `INSERT INTO dead_letter_rows
    SELECT 'parse', 'unknown_event', 'Event is no event of a call', 'tuicallkit', app, ${at('ended + 150')}, 'callstream.raw.tuicallkit', number % 16, number * 5 + 4, 0,
      concat('tencent:', app, ':call-', lower(hex(cityHash64(number, 'id'))), '-', toString(number)), '{"Event":"nothing"}'
    FROM (${story(total, until)}) WHERE ${dice('dead', 5000)} = 0`,
  recordings_latest: `INSERT INTO recordings_latest (provider, app_id, task_id, room_id, record_user_id, status, started_at, stopped_at, total_ms, finish_reason, revision, first_seen_at, updated_at)
    SELECT 'tencent', app, concat('task-', toString(number)), concat('room-', toString(number)), 'recorder', 'finished', ${at('decided')}, ${at('ended')}, talk_ms, 'user_call', 4,
      ${at('decided + 100')}, ${at('ended + 5000')}
    FROM (${story(total, until)}) WHERE answered AND ${dice('recorded', 100)} = 0`,
});

const EDGES = ['accepted_at', 'ended_at'].map(
  (
    column,
    i,
  ) => `SELECT app_id, toStartOfMinute(assumeNotNull(${column})) AS bucket, toInt64(toUnixTimestamp64Milli(assumeNotNull(${column})) % 60000) AS offset,
    toInt64(${i === 0 ? 1 : -1}) AS step FROM calls_latest WHERE isNotNull(accepted_at) AND ended_at > accepted_at`,
);

/** Every minute rolled at once, as the roller does it minute by minute. */
const ROLLED = {
  metrics_minutes: `INSERT INTO metrics_minutes SELECT app_id, bucket, 1, now(), now(), groupArray(g) FROM
    (SELECT app_id, toStartOfMinute(started_at) AS bucket, (provider, call_type, media_type, count(), ${[
      'answered',
      'no_answer',
      'rejected',
      'busy',
      'cancelled',
      'failed',
      'unknown',
    ]
      .map((name) => `countIf(outcome = '${name}')`)
      .join(', ')}, countIf(missed), countIf(missed_inclusive), sum(ring_ms), sum(talk_ms), sumMap(${binOf('ring_ms')}),
      sumMapIf(${binOf('talk_ms')}, outcome = 'answered')) AS g
     FROM calls_latest GROUP BY app_id, bucket, provider, call_type, media_type) GROUP BY app_id, bucket`,
  concurrency_minutes: `INSERT INTO concurrency_minutes SELECT app_id, bucket, 1, now(), now(), edges.1, edges.2, arraySum(edges.2),
      greatest(arrayMax(arrayCumSum(edges.2)), if(edges.1[1] > 0, 0, arrayMax(arrayCumSum(edges.2)))), arraySum(s -> s.2 * (60000 - s.1), edges)
    FROM (SELECT app_id, bucket, arraySort(groupArray((offset, change))) AS edges
      FROM (SELECT app_id, bucket, offset, sum(step) AS change FROM (${EDGES.join(' UNION ALL ')}) GROUP BY app_id, bucket, offset, step)
      GROUP BY app_id, bucket)`,
};

/** @param until epoch ms of the last start @param tell told of each table when it is filled */
async function makeMillions(client, total, until, tell) {
  const filled = async (table, work) => {
    const began = performance.now();
    await work();
    tell(table, performance.now() - began);
  };
  for (const [table, sql] of Object.entries(pieces(total, until)))
    await filled(table, async () => {
      for (let from = 0; from < total; from += PIECE) await client.command(sql, { from, n: Math.min(PIECE, total - from) }, 600_000);
    });
  for (const [table, sql] of Object.entries(ROLLED)) await filled(table, () => client.command(sql, {}, 3_600_000));
}

/**
 * The calls of a folder, made when it has none yet. A file in it says how many there are and when the last one starts; it is written when all are made, so a folder
 * without it that has calls was given up half-way.
 *
 * @returns { calls, until } how many, and epoch ms of the last start
 */
export async function keptMillions(dataDir, client, total, tell) {
  const file = join(dataDir, 'millions.json');
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8'));
  const [{ calls }] = await client.query('SELECT count() AS calls FROM calls_latest');
  if (calls > 0) throw new Error(`${dataDir} was filled in part: remove it`);
  const made = { calls: total, until: Date.now() };
  await makeMillions(client, total, made.until, tell);
  writeFileSync(file, JSON.stringify(made));
  return made;
}
