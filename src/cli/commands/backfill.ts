import { setMaxListeners } from 'node:events';
import { Argument } from 'commander';
import { type ClickHouse, findFinishedCalls } from '../../clickhouse/index.js';
import { openCodec } from '../../codec/codec.js';
import { TOPICS } from '../../codec/topics.js';
import type { Config } from '../../config/index.js';
import { CallstreamError } from '../../domain/errors.js';
import {
  Acknowledged,
  BACKFILL_SHARE,
  Backfill,
  type BackfillProgress,
  Cursors,
  checkRange,
  Hosts,
  type Line,
  openLines,
  PollOutlet,
  TIMING,
} from '../../poll/index.js';
import type { AnyPolledSource, TimeRange } from '../../sources/polled.js';
import { isPseudonym } from '../../sources/pseudonym.js';
import { POLLED_SOURCES, polledSourceOf } from '../../sources/registry.js';
import { systemChance } from '../../telemetry/chance.js';
import { systemClock } from '../../telemetry/clock.js';
import { createLogger } from '../../telemetry/log.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { EXIT } from '../exit.js';
import { type Io, line } from '../io.js';
import { countPartitions, openClickHouse, openProducer, openRegistry } from '../parts.js';
import { openPolledCodecs, readCursors } from '../poll-parts.js';
import type { Register } from '../program.js';
import { startProgress } from '../progress.js';
import { usersOf } from '../users.js';
import { type ConfigOption, loadForClient, withConfig } from './options.js';
import { time } from './parse.js';

interface BackfillOptions extends ConfigOption {
  from: number;
  to: number;
  app?: string;
}

const MINUTE_MS = 60_000;

export const backfill: Register = (program, action) => {
  withConfig(
    program
      .command('backfill')
      .summary('ask a vendor API once more for a time range')
      .description(
        'Asks a vendor API for everything that it has of a time range, and sends it through. What is known already changes nothing. A run that was interrupted goes on where it was.',
      )
      .addArgument(new Argument('<source>', 'which API').choices(POLLED_SOURCES.map(({ name }) => name)))
      .requiredOption('--from <time>', 'from this time on (UTC)', time)
      .requiredOption('--to <time>', 'up to this time (UTC)', time)
      .option('--app <app>', 'only this app'),
  )
    .addHelpText(
      'after',
      `
Sources:
  call-record  calls that started in the range (records); the vendor answers 7 days back
  user-event   media events of the calls that started in the range, as ClickHouse has them (cloudApi); 14 days back
  aliyun-rtc   events of the range, by full minutes (api); 7 days back

It asks at a quarter of the vendor's rate, so that the role poll may go on beside it.

Examples:
  $ callstream backfill call-record --from 2026-01-31T08:00 --to 2026-01-31T12:00
  $ callstream backfill user-event --from 2026-01-31 --to 2026-02-01 --app 1400000001`,
    )
    .action(action(runBackfill));
};

async function runBackfill(io: Io, name: string, options: BackfillOptions): Promise<number> {
  const { config } = loadForClient(io, options);
  const source = polledSourceOf(name) as AnyPolledSource;
  const range = checkRange(source, options, systemClock.now());
  // What a line has to say of the vendor becomes the one line that the command ends with.
  const logger = createLogger({ level: 'silent' });
  const metrics = createMetrics();
  const hosts = new Hosts(TIMING.requestTimeout, systemChance);
  const deps = { hosts, clock: systemClock, chance: systemChance, timing: TIMING, logger, metrics, share: BACKFILL_SHARE };
  const lines = chooseLines(openLines([source], config.apps, deps), source, config, options.app);
  const clickhouse = openClickHouse(config);
  const producer = openProducer(config, logger);
  // Nobody waits for a server here: what does not answer ends the command, which goes on where it was.
  const environment = { until: <T>(_what: string, _signal: AbortSignal, work: () => Promise<T>) => work() };
  const signal = AbortSignal.any([io.signal]);
  setMaxListeners(0, signal);
  try {
    const registry = openRegistry(config);
    const cursor = await openCodec(TOPICS.pollCursors, registry);
    const common = { ...deps, producer, partitions: await countPartitions(config, logger), environment };
    const work = new Backfill(lines, range, {
      ...deps,
      cursors: await Cursors.load({
        ...common,
        codec: cursor,
        read: () => readCursors(config, cursor, logger),
        confirmed: async () => {},
      }),
      outlet: new PollOutlet({
        ...common,
        logger: createLogger({ level: 'error' }),
        codecs: await openPolledCodecs(registry),
        acknowledged: new Acknowledged(),
      }),
      callsOf: await openCallsOf(config, clickhouse),
      maxCall: config.sessions.maxCall,
    });
    const { finishedAt } = work;
    if (finishedAt !== null) {
      line(io, `This range was backfilled already, at ${new Date(finishedAt).toISOString()}: nothing to do.`);
      return EXIT.ok;
    }
    return await walkAll(io, work, signal);
  } finally {
    await Promise.all([hosts.close(), producer.close(), clickhouse.close()]);
  }
}

/** The calls of a range, with their users as the vendor knows them. */
async function openCallsOf(config: Config, clickhouse: ClickHouse) {
  const users = usersOf(config);
  const sealed = (await openCodec(TOPICS.calls, openRegistry(config))).only('sealed_users');
  return async (app_id: string, { from, to }: TimeRange) => {
    const calls = await findFinishedCalls(clickhouse, { from, to, app_id });
    const hidden = calls.filter((call) => call.users.some(isPseudonym));
    await sealed.resolve(hidden.map(({ state }) => state));
    return calls.map(({ state, ...call }) => {
      const ids = call.users.some(isPseudonym) ? sealed.decode(state).sealed_users : [];
      return { ...call, users: users.realIds(app_id, call.users, ids) };
    });
  };
}

async function walkAll(io: Io, work: Backfill, signal: AbortSignal): Promise<number> {
  const minutes = (ms: number): number => Math.round(ms / MINUTE_MS);
  const progress = startProgress(io, 'minutes', minutes(work.progress.total));
  try {
    await work.run(({ done, elements }) => progress.update(minutes(done), `${elements} elements`), signal);
    progress.end();
    line(io, describe(work.progress));
    return EXIT.ok;
  } catch (error) {
    progress.end();
    if (!signal.aborted) throw error;
    line(io, `Interrupted. ${describe(work.progress)} The same command goes on from there.`);
    return EXIT.failure;
  }
}

const describe = ({ elements, absent }: BackfillProgress): string =>
  `${elements} elements sent${absent === 0 ? '' : `; the vendor has nothing of ${absent} calls`}: those that are known already change nothing.`;

/** @throws CallstreamError BACKFILL_APP saying which apps there are */
function chooseLines(lines: readonly Line[], { name, section, provider }: AnyPolledSource, { apps }: Config, wanted?: string): Line[] {
  const chosen = lines.filter(({ app }) => wanted === undefined || app.appId === wanted);
  if (chosen.length > 0) return chosen;
  const able = lines.map(({ app }) => app.appId).join(', ');
  const at = apps.findIndex((app) => app.appId === wanted);
  const why =
    wanted === undefined
      ? `no app has ${section}`
      : at === -1
        ? `the configuration has no app ${wanted}`
        : apps[at]?.provider === provider
          ? `apps[${at}] (${wanted}) has no ${section}`
          : `app ${wanted} is no app of ${provider}`;
  const what = `set ${section} of the app (docs/configuration.md)`;
  throw new CallstreamError('BACKFILL_APP', `${why}, which ${name} needs: ${able === '' ? what : `${what}, or take one of ${able}`}`);
}
