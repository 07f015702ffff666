import { randomUUID } from 'node:crypto';
import { CALL_FIELDS, ClickHouse, Roller } from '../../clickhouse/index.js';
import { openCodec } from '../../codec/codec.js';
import { TOPICS } from '../../codec/topics.js';
import type { Config } from '../../config/index.js';
import { DeadLetterLimit } from '../../stream/dead-letter-limit.js';
import { systemClock } from '../../telemetry/clock.js';
import { createLogger, type Logger } from '../../telemetry/log.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { Intake, SINK_TOPICS } from '../../workers/sink/intake.js';
import { EXIT } from '../exit.js';
import { type Io, line } from '../io.js';
import { groupOf, kafkaConnection, openRegistry } from '../parts.js';
import type { Register } from '../program.js';
import { type Progress, startProgress } from '../progress.js';
import { TopicReader } from '../read-topic.js';
import { ForgottenRecords } from '../rebuild/forgotten-records.js';
import { type RebuildFaultPoint, type Rebuilt, rebuild as refillAll } from '../rebuild/rebuild.js';
import { retainedAt } from '../rebuild/retained.js';
import { openUsers } from '../users.js';
import { type ConfigOption, loadForClient, withConfig } from './options.js';

export const rebuild: Register = (program, action) => {
  withConfig(
    program
      .command('rebuild')
      .summary('refill ClickHouse from the topics')
      .description(
        'Stores everything that the topics hold in ClickHouse once more, and makes the rollups anew: for a database that was lost (run migrate first) or damaged. Nothing is deleted: what the topics no longer have stays as it is.',
      ),
  )
    .addHelpText(
      'after',
      `
It may run beside all roles, be interrupted, and run again. Until it has ended, late events of old calls wait: what is not stored yet could be taken for new.
Users who were forgotten stay forgotten.

Examples:
  $ callstream migrate && callstream rebuild`,
    )
    .action(action((io, options: ConfigOption) => rebuildTables(io, options)));
};

/** An insert takes less than `forget-user` waits after it has put somebody on the list: what was prepared before is stored before it looks. */
const INSERT_TIMEOUT_MS = 15_000;

/** @param fault for tests */
export async function rebuildTables(
  io: Io,
  options: ConfigOption,
  fault?: (point: RebuildFaultPoint) => void | Promise<void>,
): Promise<number> {
  const { config } = loadForClient(io, options);
  const logger = createLogger({ level: 'error' });
  const clickhouse = new ClickHouse({ ...config.clickhouse, requestTimeoutMs: INSERT_TIMEOUT_MS });
  const readers = new Map<string, TopicReader>(
    SINK_TOPICS.map((topic) => [topic, new TopicReader(kafkaConnection(config), `${groupOf(config, 'sink')}.rebuild`, topic, logger)]),
  );
  const metrics = createMetrics();
  const shown = new Map<string, Progress>();
  let close = async (): Promise<void> => {};
  try {
    const { intake, forgotten, closeUsers } = await openParts(config, logger);
    close = closeUsers;
    const rebuilt = await refillAll({
      clickhouse,
      topics: SINK_TOPICS,
      ranges: (topic) => readers.get(topic)!.ranges(),
      read: (topic, ranges, take) => readers.get(topic)!.readPieces(ranges, take),
      forgotten,
      intake: intake(metrics),
      roller: new Roller(clickhouse, config.retention.calls),
      metrics,
      id: randomUUID(),
      now: systemClock.now(),
      onProgress: (what, done, total) => {
        const progress = shown.get(what) ?? startProgress(io, what === 'records' ? 'records' : 'minutes of rollups', total);
        shown.set(what, progress);
        progress.update(done);
        if (done >= total) progress.end();
      },
      onWait: (why) => io.err(`waiting: ${why}\n`),
      signal: io.signal,
      fault,
    });
    for (const progress of shown.values()) progress.end();
    for (const text of describe(rebuilt)) line(io, text);
    return EXIT.ok;
  } finally {
    for (const progress of shown.values()) progress.end();
    await Promise.all([close(), clickhouse.close(), ...[...readers.values()].map((reader) => reader.close())]);
  }
}

/** How records become rows, and who is forgotten. */
async function openParts(config: Config, logger: Logger) {
  const registry = openRegistry(config);
  const codecs = {
    call: await openCodec(TOPICS.calls, registry),
    recording: await openCodec(TOPICS.recordings, registry),
    callEvent: await openCodec(TOPICS.callEvents, registry),
    deadLetter: await openCodec(TOPICS.deadLetters, registry),
    alert: await openCodec(TOPICS.alerts, registry),
  };
  // Only who is forgotten goes by another id than the one that was published.
  const asPublished = { ...config, privacy: { ...config.privacy, pseudonymiseUsers: false } };
  const { users, forgotten, close } = await openUsers({
    config: asPublished,
    registry,
    logger,
    clock: systemClock,
    groupId: groupOf(config, 'sink'),
  });
  const admission = retainedAt(systemClock.now(), config.retention);
  return {
    intake: (metrics: ReturnType<typeof createMetrics>) =>
      new Intake({ ...codecs, call: codecs.call.only(...CALL_FIELDS) }, new DeadLetterLimit(), metrics, admission),
    forgotten: new ForgottenRecords(codecs, users, forgotten),
    closeUsers: close,
  };
}

function describe({ topics, rollups }: Rebuilt): string[] {
  const width = Math.max(...topics.map(({ topic }) => topic.length));
  return [
    ...topics.map(({ topic, stored, unreadable, since }) => {
      const from = since === null ? 'it is empty' : `${stored} records, since ${new Date(since).toISOString().slice(0, 16)}Z`;
      return `${topic.padEnd(width)}  ${from}${unreadable === 0 ? '' : `; ${unreadable} cannot be rows, and are dead letters`}`;
    }),
    `${rollups.touched} minutes of rollups were made anew.${rollups.kept === 0 ? '' : ` ${rollups.kept} stay as they are: they count calls that neither topics nor tables have any more.`}`,
  ];
}
