import { findCalls, inputsOf } from '../../clickhouse/index.js';
import { openCodec } from '../../codec/codec.js';
import { TOPICS } from '../../codec/topics.js';
import type { CallKey } from '../../domain/types.js';
import { systemClock } from '../../telemetry/clock.js';
import { createLogger } from '../../telemetry/log.js';
import { type RepairDeps, repairCall } from '../../workers/repair.js';
import { EXIT } from '../exit.js';
import { type Io, line } from '../io.js';
import { countPartitions, openClickHouse, openProducer, openRegistry } from '../parts.js';
import type { Register } from '../program.js';
import { startProgress } from '../progress.js';
import { type ConfigOption, loadForClient, withConfig } from './options.js';
import { time } from './parse.js';

interface RepairOptions extends ConfigOption {
  call?: string[];
  from?: number;
  to?: number;
  app?: string;
}

/** Calls on their way at once. */
const AT_ONCE = 32;

export const repair: Register = (program, action) => {
  withConfig(
    program
      .command('repair')
      .summary('fold calls again from all their stored inputs')
      .description(
        'Folds calls again from the inputs stored with them, united with call_events. Where the record changes, the sessions worker publishes a corrected revision; where it does not, nothing happens.',
      )
      .option('--call <app-and-call...>', 'one call: its app id, then its call id')
      .option('--from <time>', 'calls that started at or after (UTC)', time)
      .option('--to <time>', 'calls that started before (UTC)', time)
      .option('--app <app>', 'with --from and --to: only this app'),
  )
    .addHelpText(
      'after',
      `
The sessions worker must be running. Repeating a repair does no harm. Channel sessions are made of their channel's events as a whole, and have no repair.

Examples:
  $ callstream repair --call 1400000001 aheahfo-eqwnknoihfsd-qweqf
  $ callstream repair --from 2026-01-31T08:00 --to 2026-01-31T09:00`,
    )
    .action(action((io, options: RepairOptions) => repairCalls(io, options)));
};

/** @param fault for tests */
export async function repairCalls(io: Io, options: RepairOptions, fault?: RepairDeps['fault']): Promise<number> {
  const { call, from, to } = options;
  const range = from !== undefined && to !== undefined;
  const complete = (call === undefined || call.length === 2) && (from === undefined) === (to === undefined);
  if (!complete || (call === undefined) !== range) {
    io.err('callstream: name one call with --call APP CALL, or a time range with --from T --to T\n');
    return EXIT.usage;
  }
  const { config } = loadForClient(io, options);
  const logger = createLogger({ level: 'error' });
  const clickhouse = openClickHouse(config);
  const producer = openProducer(config, logger);
  try {
    const keys =
      call === undefined
        ? await findCalls(clickhouse, { from: from ?? 0, to: to ?? 0, ...(options.app === undefined ? {} : { app_id: options.app }) })
        : await keysOf(call);
    if (keys.length === 0) {
      line(io, call === undefined ? 'No calls started in that time.' : `ClickHouse has no call ${call[1]} of app ${call[0]}.`);
      return call === undefined ? EXIT.ok : EXIT.failure;
    }
    const deps: RepairDeps = {
      inputsOf: (key) => inputsOf(clickhouse, key),
      send: (records) => producer.send(records),
      codec: await openCodec(TOPICS.rawLate, openRegistry(config)),
      partitions: await countPartitions(config, logger),
      clock: systemClock,
      fault,
    };
    const progress = startProgress(io, 'calls', keys.length);
    let done = 0;
    let inputs = 0;
    for (let i = 0; i < keys.length && !io.signal.aborted; i += AT_ONCE) {
      const sent = await Promise.all(keys.slice(i, i + AT_ONCE).map((key) => repairCall(key, deps)));
      done += sent.length;
      inputs += sent.reduce((sum, n) => sum + n, 0);
      progress.update(done);
    }
    progress.end();
    line(io, `${done} calls with ${inputs} inputs sent to the sessions worker: it publishes a revision for those that change.`);
    return done === keys.length ? EXIT.ok : EXIT.failure;
  } finally {
    await Promise.all([producer.close(), clickhouse.close()]);
  }

  /** The providers under which the app has this call: one. */
  async function keysOf([app, callId]: string[]): Promise<CallKey[]> {
    return clickhouse.query<CallKey>(
      "SELECT DISTINCT provider, app_id, call_id FROM call_event_rows WHERE app_id = {app:String} AND call_id = {call:String} UNION DISTINCT SELECT DISTINCT provider, app_id, call_id FROM call_revisions WHERE app_id = {app:String} AND call_id = {call:String} AND NOT has(sources, 'channel')",
      { app, call: callId },
    );
  }
}
