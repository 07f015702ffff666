import { z } from 'zod';
import {
  ALERTS,
  CALL_RECORDING,
  CALLS,
  type Columns,
  EVENT,
  type Kind,
  LEG,
  MISSED_UNRETURNED,
  RECORDINGS,
  type RowOf,
} from '../clickhouse/relations.js';
import type { Definition } from './definitions.js';

/*
 * Schemas of what the routes answer, made of the columns of the relations: what is selected is what is documented.
 */

/** What the columns mean, by name: a name means the same in every relation. */
const MEANINGS: Readonly<Record<string, string>> = {
  provider: '`tencent` or `aliyun`.',
  app_id: 'The vendor’s id of the app. Ids are unique over all providers.',
  call_id: 'The vendor’s call id; of a channel session `channel:<channel>:<event id>`.',
  room_id: 'Room or channel; empty where unknown.',
  call_type: '`single`, `group`, `channel`, or empty where unknown.',
  media_type: '`audio`, `video`, or empty where unknown.',
  caller: 'User id of the caller; empty where unknown, and of channel sessions.',
  callee: 'User id of who was called.',
  callees: 'User ids of all others, sorted.',
  total_users: 'How many users the call had, caller included.',
  status: 'Of a call `ringing`, `active` or `ended`; of a recording `recording`, `paused`, `stopped`, `finished` or `failed`.',
  outcome:
    '`answered`, `no_answer`, `cancelled`, `rejected`, `busy`, `failed` or `unknown`. While a call is not over, `answered` or `unknown`.',
  end_reason: 'Empty while not over; `normal`, `interrupted` or `timed_out` of an answered call, else the outcome or `timed_out`.',
  accepted_at: 'When somebody first accepted.',
  ring_ms: 'From the start until the call was accepted, or was over.',
  talk_ms: 'Of a call from the accept to its end, of a leg from joining to leaving; 0 where unknown.',
  missed: 'Over, and not answered by who was called (`no_answer`).',
  missed_inclusive: 'Missed, or cancelled by the caller, or busy.',
  final: 'False while the record is expected to change.',
  sources: 'What the record is made of: `event`, `status`, `record`, `media`, `channel`.',
  anomalies: 'Contradictions and gaps in what the vendor sent, by name.',
  first_seen_at: 'When the first input of the call arrived.',
  updated_at: 'When this revision was made.',
  revision: 'Grows by one with each change of the record.',
  user_id: 'User id.',
  role: '`caller` or `callee`.',
  rang_at: 'When it began to ring at this user.',
  joined_at: 'When this user accepted or joined.',
  left_at: 'When this user left.',
  platform: 'The user’s platform, as the vendor names it.',
  media_joined_at: 'When this user entered the room, by the vendor’s media events.',
  media_left_at: 'When this user left the room, by the vendor’s media events.',
  media_drops: 'How often this user’s connection broke, by the vendor’s media events.',
  event: 'Canonical name of what happened; `record` and `media` for what was polled.',
  event_at: 'When it happened; when it arrived, where the vendor says no time.',
  received_at: 'When it arrived.',
  source: 'Where it came from: `tuicallkit`, `tiw`, `aliyun-rtc`, `call-record`, `user-event`.',
  call_result: 'The result that a record or status callback names.',
  event_id: 'Identity of the input: equal for equal inputs.',
  raw_topic: 'Kafka topic that holds the bytes as they came.',
  detail: 'Every other field of the input, as JSON text.',
  task_id: 'The vendor’s id of the recording task.',
  record_user_id: 'User id of the recording robot.',
  total_ms: 'Length of the recording.',
  finish_reason: 'Why the recording ended, lower-cased.',
  exceptions: 'Number of exceptions that the vendor reported.',
  pauses: 'How often the recording was paused for long.',
  videos: 'The files, with the units of their numbers in the names.',
  omitted: 'Stretches that were left out, milliseconds.',
  missed_count: 'Misses since the two last spoke.',
  first_missed_at: 'Start of the first of these calls.',
  last_missed_at: 'Start of the last of these calls.',
  rule: 'Name of the alert rule.',
  state: '`firing` or `resolved`.',
  metric: 'What the rule looks at; `listAlertRules` says what it means.',
  value: 'In the unit of the metric: when it fired, or when it resolved.',
  n: 'What the value was about.',
  threshold: 'What the value was compared with.',
  window_ms: 'How long the metric looked back.',
  silenced: 'No webhook was told.',
};

const time = z.int().describe('Epoch milliseconds.');

const KINDS: { readonly [K in Kind]: z.ZodType } = {
  text: z.string(),
  texts: z.array(z.string()),
  objects: z.array(z.record(z.string(), z.unknown())),
  number: z.number(),
  'number?': z.number().nullable(),
  flag: z.boolean(),
  time,
  'time?': time.nullable(),
  bucket: time,
};

const fieldOf = (name: string, kind: Kind): z.ZodType => {
  const unit = kind.startsWith('time') ? ['Epoch milliseconds.'] : name.endsWith('_ms') ? ['Milliseconds.'] : [];
  const text = [...(MEANINGS[name] === undefined ? [] : [MEANINGS[name]]), ...unit].join(' ');
  return text === '' ? KINDS[kind] : KINDS[kind].describe(text);
};

/** The schema of rows as `rowOf` makes them. */
export const recordOf = <C extends Columns>(id: string, description: string, columns: C) =>
  z
    .strictObject(Object.fromEntries(Object.entries(columns).map(([name, kind]) => [name, fieldOf(name, kind)])))
    .meta({ id, description }) as unknown as z.ZodType<RowOf<C>, RowOf<C>>;

export const CALL = recordOf('Call', 'A call or channel session, as its latest revision says.', CALLS);
export const CALL_LEG = recordOf('Leg', 'One user of a call.', LEG);
export const CALL_EVENT = recordOf('Event', 'One distinct input of a call.', EVENT);
export const RECORDING = recordOf('Recording', 'A whiteboard recording, as its latest revision says.', RECORDINGS);
export const RECORDING_OF_CALL = recordOf('CallRecording', 'A recording that overlaps the call.', CALL_RECORDING);
export const MISSED_PAIR = recordOf(
  'MissedPair',
  'A caller and a callee with missed calls and no later answered call between them.',
  MISSED_UNRETURNED,
);
export const ALERT = recordOf('Alert', 'One time that a rule fired, and whether it has resolved.', ALERTS);

export const asOf = time.describe('When this was read, epoch milliseconds.');
export const period = {
  from: time.describe('Start of the period, epoch milliseconds: `from` or `window` of the request, widened to whole buckets.'),
  to: time.describe('End of the period, which it does not belong to, epoch milliseconds.'),
};
export const count = z.int().min(0);
export const rate = z.number().nullable().describe('Null when there is nothing to take it over.');
export const nextCursor = z.string().nullable().describe('Asks for the next page as `cursor`; null on the last one.');

export const DEFINITION = z
  .strictObject({
    label: z.string(),
    unit: z.enum(['count', 'ratio', 'ms']),
    of: z.string().describe('What `n` counts.'),
    definition: z.string(),
  })
  .meta({ id: 'Definition', description: 'What a number means.' }) satisfies z.ZodType<Definition>;

export const MEASURE = z
  .strictObject({
    value: z.number().nullable().describe('Null when there is nothing to take it over.'),
    n: count.describe('What it is taken over.'),
    ...DEFINITION.shape,
  })
  .meta({ id: 'Measure', description: 'A number, what it is taken over, and what it means.' });
