import { z } from 'zod';
import { DEFINITIONS } from '../definitions.js';
import { noParams } from '../params.js';
import { asOf, count } from '../records.js';
import { route } from '../route.js';

const amount = z.number().min(0);

const state = z
  .strictObject({
    admins: z
      .array(
        z.strictObject({
          address: z.string().describe('`HOST:PORT`.'),
          ready: z.boolean().nullable().describe('Whether what runs there can do its work; null when it does not answer.'),
          problems: z.array(z.string()).describe('What keeps it from working, or is worth knowing.'),
        }),
      )
      .describe('The addresses that were asked.'),
    workers: z
      .array(z.strictObject({ worker: z.string(), lag: count.describe(DEFINITIONS.lag.definition) }))
      .describe('`sink` counts what is not in ClickHouse; `webhook NAME` what a receiver has not been told of.'),
    spool: z
      .strictObject({
        events: count.describe(DEFINITIONS.spooled.definition),
        bytes: count,
        quarantined: count.describe('Records set aside because their checksum failed, since the process began.'),
        failures: count.describe('Appends that the disk refused, since the process began.'),
      })
      .nullable()
      .describe('Null when no process that answers takes callbacks.'),
    limits: z.array(
      z.strictObject({
        source: z.string(),
        operation: z.string(),
        limit_per_second: amount.describe('Requests per second that are allowed, over all apps.'),
        per_second: amount.nullable().describe(`${DEFINITIONS.limit_used.definition} Null on the first reading.`),
        slow_downs: count.describe('How often the vendor has asked for patience since the poller began.'),
      }),
    ),
    sweeps: z.array(
      z.strictObject({
        source: z.string(),
        app_id: z.string(),
        swept_to: z.int().nullable().describe('Everything that the vendor had up to here has been read, epoch milliseconds.'),
        stopped: z.boolean().describe('The vendor refuses this app’s credentials, and is left alone until somebody puts them in order.'),
        lost_ms: count.describe('Time that the vendor had forgotten before it was read, since the process began.'),
      }),
    ),
    hosts_away: z.array(z.string()).describe('Hosts of vendors that do not answer, and are asked now and then only.'),
  })
  .meta({ id: 'Pipeline', description: 'The state of the roles, as they tell it themselves.' });

const read = route({
  path: '/api/v1/pipeline',
  operation: 'readPipeline',
  summary: 'Whether the roles keep up: their readiness, lag, spool, and the vendors’ limits.',
  description: 'Read from the admin addresses that `api.admins` names (`up` names its own). Counts add up over all processes that answer.',
  params: noParams,
  answer: z.strictObject({
    as_of: asOf,
    pipeline: state.nullable().describe('Null when `api.admins` names no address: then nothing of this is known.'),
  }),
  read: async ({ now, pipeline }) => ({ as_of: now, pipeline: pipeline.configured ? await pipeline.read() : null }),
});

export const PIPELINE = [read];
