import { z } from 'zod';
import { CALL_RECORDING, CALLS, EVENT, LEG, rowOf, selectOf } from '../../clickhouse/relations.js';
import { channelCallId, joinKey } from '../../domain/key.js';
import { type CallView, toCall } from '../calls.js';
import { ANOMALIES } from '../definitions.js';
import { id } from '../params.js';
import { notFound } from '../problem.js';
import type { Query, Row } from '../query.js';
import { asOf, CALL, CALL_EVENT, CALL_LEG, RECORDING_OF_CALL } from '../records.js';
import { route } from '../route.js';
import { DEAD_LETTER, readDeadLetters } from './dead-letters.js';

const OF_CALL = 't.provider = {provider:String} AND t.app_id = {app:String} AND t.call_id = {call:String}';

const eventsWhere = (condition: string): string =>
  `SELECT ${selectOf(EVENT)} FROM call_events AS t WHERE ${condition} ORDER BY t.event_at, t.received_at, t.event, t.user_id LIMIT 5000`;

/** What happened in the channel of a session while it lasted: events stand under the channel. */
function readChannel(query: Query, { provider, app_id, room_id, started_at, ended_at }: CallView): Promise<Row[]> {
  const until = ended_at === null ? '' : ' AND t.event_at <= fromUnixTimestamp64Milli({to:Int64})';
  const during = `t.event_at >= fromUnixTimestamp64Milli({from:Int64})${until}`;
  const params = { provider, app: app_id, call: channelCallId(room_id), from: started_at, to: ended_at ?? 0 };
  return query(eventsWhere(`${OF_CALL} AND ${during}`), params);
}

const MAX_DEAD_LETTERS = 100;

/** One call with all that is known of it, or null when there is none of that name. */
export async function readCall(query: Query, provider: string, app: string, call: string) {
  const params = { provider, app, call };
  const [calls, legs, events, revisions, recordings, dead_letters] = await Promise.all([
    query(`SELECT ${selectOf(CALLS)} FROM calls AS t WHERE ${OF_CALL}`, params),
    query(`SELECT ${selectOf(LEG)} FROM call_legs AS t WHERE ${OF_CALL} ORDER BY t.role, t.user_id LIMIT 1000`, params),
    query(eventsWhere(OF_CALL), params),
    query(`SELECT ${selectOf(CALLS)} FROM call_revisions AS t FINAL WHERE ${OF_CALL} ORDER BY t.revision LIMIT 1000`, params),
    query(
      `SELECT ${selectOf(CALL_RECORDING)} FROM call_recordings AS t WHERE ${OF_CALL} ORDER BY t.started_at, t.task_id LIMIT 1000`,
      params,
    ),
    readDeadLetters(query, { key: joinKey({ provider, app_id: app, call_id: call }) }, null, MAX_DEAD_LETTERS),
  ]);
  if (calls[0] === undefined) return null;
  const found = toCall(calls[0]);
  const inputs = found.call_type === 'channel' ? await readChannel(query, found) : events;
  return {
    call: found,
    legs: legs.map((row) => rowOf(LEG, row)),
    events: inputs.map((row) => rowOf(EVENT, row)),
    revisions: revisions.map(toCall),
    recordings: recordings.map((row) => rowOf(CALL_RECORDING, row)),
    anomalies: found.anomalies.map((name) => ({ name, explanation: ANOMALIES[name] ?? '' })),
    dead_letters,
  };
}

const one = route({
  path: '/api/v1/calls/{provider}/{app}/{call}',
  operation: 'readCall',
  summary: 'One call: legs, inputs, revisions, recordings, what is odd about it, and what of it could not be processed.',
  params: z.strictObject({
    provider: id.describe('`tencent` or `aliyun`.'),
    app: id.describe('App id.'),
    call: id.describe('Call id, URL-encoded.'),
  }),
  answer: z.strictObject({
    as_of: asOf,
    call: CALL,
    legs: z.array(CALL_LEG).describe('Its users, the callees first.'),
    events: z.array(CALL_EVENT).describe('Its distinct inputs by the time that they speak of, at most 5,000.'),
    revisions: z.array(CALL).describe('What the record said over time, oldest first, at most 1,000.'),
    recordings: z.array(RECORDING_OF_CALL),
    anomalies: z.array(z.strictObject({ name: z.string(), explanation: z.string() })).describe('Those of `call`, with what they mean.'),
    dead_letters: z
      .array(DEAD_LETTER)
      .describe(`Inputs under the key of this call that could not be processed, newest first, at most ${MAX_DEAD_LETTERS}.`),
  }),
  async read({ query, now }, { provider, app, call }) {
    const found = await readCall(query, provider, app, call);
    if (found === null) throw notFound(`There is no call "${call}" of app ${app} at ${provider}.`);
    return { as_of: now, ...found };
  },
});

export const ONE_CALL = [one];
