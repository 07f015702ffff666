import { setTimeout as delay } from 'node:timers/promises';
import { openCodec } from '../../codec/codec.js';
import { TOPICS } from '../../codec/topics.js';
import { type Config, formatDuration } from '../../config/index.js';
import { CallstreamError } from '../../domain/errors.js';
import { isPseudonym, Pseudonyms } from '../../sources/pseudonym.js';
import { TopicAdmin } from '../../stream/admin.js';
import { partitionOf } from '../../stream/partition.js';
import { systemClock } from '../../telemetry/clock.js';
import { createLogger, type Logger } from '../../telemetry/log.js';
import { forgottenCursor, forgottenKey } from '../../workers/forgotten.js';
import { SINK_TOPICS } from '../../workers/sink/intake.js';
import { EXIT } from '../exit.js';
import { type Forgotten, forgetUser as forget } from '../forget/forget.js';
import { Subject } from '../forget/subject.js';
import { Traces } from '../forget/traces.js';
import { type Io, line } from '../io.js';
import { countPartitions, groupOf, kafkaConnection, openClickHouse, openProducer, openRegistry } from '../parts.js';
import type { Register } from '../program.js';
import { readDecoded, TopicReader } from '../read-topic.js';
import { type ConfigOption, loadForClient, withConfig } from './options.js';

export const forgetUser: Register = (program, action) => {
  withConfig(
    program
      .command('forget-user')
      .summary('take one user out of everything that is stored')
      .description(
        'Forgets a user of an app: from now on, whatever tells of the user is stored under the pseudonym; calls, recordings and channel sessions that name the user are published anew with it; rows that name the user are deleted. Says which topics still hold the user, and until when.',
      )
      .argument('<app>', 'app id')
      .argument('<user>', 'user id, exactly as the vendor spells it'),
  )
    .addHelpText(
      'after',
      `
It needs privacy.key, of which the pseudonym is made: the same in every role, and never another afterwards. The roles sessions, events and sink must be
running. An interrupted run goes on where it was; one more finds nothing to do. There is no way back.

Examples:
  $ callstream forget-user 1400000001 alice`,
    )
    .action(action(run));
};

/** Topics that hold ids of users: all but those without end, which hold pseudonyms at most, and alerts, which are about apps. */
const HOLDING = Object.values(TOPICS)
  .filter((topic) => topic.retentionMs !== null && topic !== TOPICS.alerts)
  .map(({ name }) => name);

async function run(io: Io, appId: string, userId: string, options: ConfigOption): Promise<number> {
  const { config } = loadForClient(io, options);
  const { key } = config.privacy;
  if (key === undefined)
    throw new CallstreamError(
      'FORGET_NEEDS_KEY',
      'forget-user needs privacy.key, of which the pseudonym is made. Set it for every role (openssl rand -hex 32), restart them, and run this again',
    );
  if (userId === '' || isPseudonym(userId))
    throw new CallstreamError('FORGET_NOBODY', `"${userId}" is no user: it is empty, or a pseudonym already`);
  const logger = createLogger({ level: 'error' });
  const pseudonyms = new Pseudonyms(key);
  const subject = new Subject(pseudonyms, appId, userId);
  if (!config.apps.some((app) => app.appId === appId))
    io.err(`The configuration has no app ${appId}: only what is stored of it is looked at.\n`);
  const registry = openRegistry(config);
  const codecs = { call: await openCodec(TOPICS.calls, registry), recording: await openCodec(TOPICS.recordings, registry) };
  const raw = await openCodec(TOPICS.rawLate, registry);
  const partitions = await countPartitions(config, logger);
  const clickhouse = openClickHouse(config);
  const producer = openProducer(config, logger);
  const admin = new TopicAdmin({ kafka: kafkaConnection(config), logger });
  try {
    const done = await forget({
      listed: () => putOnList(config, logger, pseudonyms, subject, (records) => producer.send(records), partitions),
      traces: new Traces(clickhouse, subject, codecs),
      send: (records) => producer.send(records),
      encode: (event) => raw.encode(event),
      partitions,
      published: () => published(admin, groupOf(config, 'sink')),
      clock: systemClock,
      sleep: (ms) => delay(ms),
      onStep: (step) => io.err(`${step}\n`),
      signal: io.signal,
    });
    for (const text of describe(done, subject)) line(io, text);
    await describeTopics(io, admin);
    return EXIT.ok;
  } finally {
    await Promise.all([producer.close(), clickhouse.close(), admin.close()]);
  }
}

/** Puts the user on the list, unless an earlier run has; returns when that was. */
async function putOnList(
  config: Config,
  logger: Logger,
  pseudonyms: Pseudonyms,
  { appId, userId }: Subject,
  send: ReturnType<typeof openProducer>['send'],
  partitions: number,
): Promise<number> {
  const entry = forgottenCursor(pseudonyms, appId, userId, systemClock.now());
  const key = forgottenKey(entry);
  const codec = await openCodec(TOPICS.pollCursors, openRegistry(config));
  const reader = new TopicReader(kafkaConnection(config), `${groupOf(config, 'poll')}.forget`, TOPICS.pollCursors.name, logger);
  let listed: number | null = null;
  try {
    await readDecoded(reader, codec, (_record, cursor) => {
      if (forgottenKey(cursor) === key) listed = cursor.swept_to;
    });
  } finally {
    await reader.close();
  }
  if (listed !== null) return listed;
  await send([{ topic: TOPICS.pollCursors.name, partition: partitionOf(key, partitions), key, value: codec.encode(entry) }]);
  // Later than the entry: it counts from when it was acknowledged.
  return systemClock.now();
}

async function published({ offsets }: TopicAdmin, group: string): Promise<() => Promise<number>> {
  const ends = await Promise.all(SINK_TOPICS.map(async (topic) => ({ topic, ranges: await offsets.ranges(topic) })));
  return async () => {
    const committed = await offsets.committed(group, SINK_TOPICS);
    const left = ends.flatMap(({ topic, ranges }) =>
      ranges.map(({ low, end }, p) => Math.max(0, end - Math.max(low, committed.get(topic)?.[p]?.offset ?? 0))),
    );
    return left.reduce((sum, n) => sum + n, 0);
  };
}

function describe({ calls, channels, recordings, revisions, events, deadLetters }: Forgotten, { appId, pseudonym }: Subject): string[] {
  const parts = [`${calls} calls`, `${channels} channels`, `${recordings} recordings`].join(', ');
  return [
    `Forgotten. What app ${appId} has of the user, now and later, goes by ${pseudonym}.`,
    `Published anew: ${parts}. Deleted: ${revisions} earlier revisions, ${events} events, ${deadLetters} dead letters. No table names the user any more.`,
  ];
}

/** Dates by the brokers' settings. */
async function describeTopics(io: Io, admin: TopicAdmin): Promise<void> {
  const now = systemClock.now();
  const width = Math.max(...HOLDING.map((name) => name.length));
  line(io, '\nTopics still hold the id, in what came before this:');
  for (const [name, { retentionMs, segmentMs }] of await admin.keeps(HOLDING)) {
    const until =
      retentionMs < 0 ? 'without end' : `until ${new Date(now + retentionMs).toISOString().slice(0, 16)}Z (${formatDuration(retentionMs)})`;
    line(
      io,
      `  ${name.padEnd(width)}  ${until}${retentionMs < 0 ? '' : `, or with its segment, at most ${formatDuration(segmentMs)} later`}`,
    );
  }
  line(io, 'callstream.raw.* and callstream.tasks also take what vendors send of the user from now on, for as long.');
}
