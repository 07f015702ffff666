import type { ClickHouse } from '../../clickhouse/client.js';
import { CallstreamError } from '../../domain/errors.js';

/** A dead letter as ClickHouse keeps it. */
export interface DeadLetterRow {
  /** topic:partition:offset, with :index for one element of a delivery. */
  origin: string;
  stage: string;
  reason: string;
  error: string;
  source: string;
  app_id: string;
  /** Epoch ms. */
  received_at: number;
  topic: string;
  partition: number;
  offset: number;
  key: string;
  body: Buffer;
}

/** Which dead letters are meant; absent: any. */
export interface DeadLetterFilter {
  origins?: readonly string[];
  stage?: string | undefined;
  reason?: string | undefined;
  app?: string | undefined;
  /** Received at or after, epoch ms. */
  since?: number | undefined;
}

const ORIGIN =
  "concat(origin_topic, ':', toString(origin_partition), ':', toString(origin_offset), if(origin_index < 0, '', concat(':', toString(origin_index))))";

/** `topic:partition:offset` or `topic:partition:offset:index`. @throws CallstreamError DEAD_LETTER_ORIGIN */
export function checkOrigin(origin: string): string {
  if (!/^[A-Za-z0-9._-]+:\d+:\d+(:\d+)?$/.test(origin)) {
    throw new CallstreamError(
      'DEAD_LETTER_ORIGIN',
      `"${origin}" is no origin of a dead letter: they look like callstream.raw.tuicallkit:2:1047 (see \`callstream dead-letters list\`)`,
    );
  }
  return origin;
}

/** Newest first. */
export async function readDeadLetters(clickhouse: ClickHouse, filter: DeadLetterFilter, limit: number): Promise<DeadLetterRow[]> {
  const { where, params } = conditions(filter);
  const rows = await clickhouse.query<Omit<DeadLetterRow, 'body'> & { body_hex: string }>(
    `SELECT ${ORIGIN} AS origin, stage, reason, error, source, app_id, toUnixTimestamp64Milli(received_at) AS received_at,
       origin_topic AS topic, origin_partition AS partition, origin_offset AS offset, key, hex(body) AS body_hex
     FROM dead_letter_rows FINAL WHERE ${where} ORDER BY dead_letter_rows.received_at DESC, origin LIMIT {limit:UInt32}`,
    { ...params, limit },
  );
  return rows.map(({ body_hex, ...row }) => ({ ...row, body: Buffer.from(body_hex, 'hex') }));
}

export async function countDeadLetters(clickhouse: ClickHouse, filter: DeadLetterFilter): Promise<number> {
  const { where, params } = conditions(filter);
  const [row] = await clickhouse.query<{ n: number }>(`SELECT count() AS n FROM dead_letter_rows FINAL WHERE ${where}`, params);
  return row?.n ?? 0;
}

function conditions(filter: DeadLetterFilter): { where: string; params: Record<string, unknown> } {
  const parts: string[] = [];
  const params: Record<string, unknown> = {};
  const add = (name: string, value: unknown, sql: string): void => {
    if (value === undefined) return;
    parts.push(sql);
    params[name] = value;
  };
  add('origins', filter.origins, `${ORIGIN} IN {origins:Array(String)}`);
  add('stage', filter.stage, 'stage = {stage:String}');
  add('reason', filter.reason, 'reason = {reason:String}');
  add('app', filter.app, 'app_id = {app:String}');
  add('since', filter.since, 'dead_letter_rows.received_at >= fromUnixTimestamp64Milli({since:Int64})');
  return { where: parts.length === 0 ? 'true' : parts.join(' AND '), params };
}
