import { TOPICS } from '../../codec/topics.js';
import { type Config, formatDuration } from '../../config/index.js';
import { hasCredentials } from '../../poll/index.js';
import { POLLED_SOURCES } from '../../sources/registry.js';
import { mayHaveMore, TopicAdmin, WANTED_OFFSETS_RETENTION_MINUTES } from '../../stream/admin.js';
import { connecting, createClients } from '../../stream/client.js';
import { TaskProducer } from '../../stream/task-producer.js';
import type { Logger } from '../../telemetry/log.js';
import { groupOf, INPUTS, kafkaConnection, openProducer, RAW_TOPICS, STREAM_WORKERS, WORKERS } from '../parts.js';
import { TopicReader } from '../read-topic.js';
import { attempt, type Finding, ok, problem, warning } from './finding.js';
import { Gaps } from './gap.js';

const MINUTE = 60_000;
const AHEAD_MS = 5_000;
const TRANSACTION_TIMEOUT_MS = 10_000;
const MIGRATE = 'run callstream migrate';

/** Reachable, allowed, topics as they must be, offsets kept long enough, workers at work. */
export async function checkKafka(config: Config, logger: Logger, now: () => number): Promise<Finding[]> {
  const admin = new TopicAdmin({ kafka: kafkaConnection(config), logger });
  const todo = 'is the broker up, are kafka.brokers, ssl and sasl right, and may this user describe and read topics and groups?';
  try {
    const where = config.kafka.brokers.join(', ');
    const reached = await attempt('Kafka', `${todo} (${where})`, async () => {
      await admin.partitionCounts([]);
      return [ok('Kafka', where)];
    });
    if (reached.some((f) => f.level === 'problem')) return reached;
    const topics = await attempt('topics', todo, () => checkTopics(config, admin));
    const there = !topics.some((f) => f.level === 'problem');
    return [
      ...reached,
      ...topics,
      ...(await attempt('offsets', todo, () => checkOffsetsRetention(admin))),
      ...(await attempt('writing', 'may this user write, idempotently, to callstream.*?', async () => checkProducer(config, logger))),
      ...(await attempt('transactions', 'may this user write to the transactional ids of kafka.groupPrefix-*?', () =>
        checkTransactions(config, logger),
      )),
      ...(there ? await attempt('groups', todo, () => checkGroups(config, admin, logger)) : []),
      ...(there ? await attempt('gaps', todo, () => checkGaps(config, logger)) : []),
      ...(there ? await attempt('clock of Kafka', todo, () => checkBrokerClock(config, admin, logger, now)) : []),
    ];
  } finally {
    await admin.close();
  }
}

async function checkTopics(config: Config, admin: TopicAdmin): Promise<Finding[]> {
  const specs = Object.values(TOPICS);
  const counts = await admin.partitionCounts(specs.map((spec) => spec.name));
  const missing = specs.filter((spec) => !counts.has(spec.name)).map((spec) => spec.name);
  if (missing.length > 0) return [problem('topics', `${missing.join(', ')} missing`, MIGRATE)];
  const tasks = counts.get(TOPICS.rawTuicallkit.name) ?? 0;
  const odd = specs.filter((spec) => counts.get(spec.name) !== tasks * spec.partitionFactor);
  if (odd.length > 0) {
    const found = odd.map((spec) => `${spec.name} has ${counts.get(spec.name)}`).join(', ');
    const mayGrow = odd.every((spec) => mayHaveMore(spec, counts.get(spec.name) ?? 0, tasks));
    return [
      problem(
        'partitions',
        `${found}, for ${tasks} of ${TOPICS.rawTuicallkit.name}`,
        mayGrow ? MIGRATE : 'the count is fixed at creation: create the topic anew, or a new installation',
      ),
    ];
  }
  if (config.kafka.partitions !== undefined && config.kafka.partitions !== tasks) {
    return [
      problem(
        'partitions',
        `${tasks}, but kafka.partitions says ${config.kafka.partitions}`,
        `the count is fixed at creation: set kafka.partitions: ${tasks}`,
      ),
    ];
  }
  const installation = await admin.installation();
  if (installation === null) return [problem('topics', 'they are there, but nothing says for which installation', MIGRATE)];
  const groups = WORKERS.flatMap((worker) => {
    const known = installation.groups[worker];
    return known === undefined || known === groupOf(config, worker) ? [] : [`${worker} has worked as ${known}`];
  });
  if (groups.length > 0) return [problem('groups', groups.join(', '), 'set kafka.groupPrefix back: another group would begin anew')];
  return [ok('topics', `${specs.length}, of ${tasks} partitions`)];
}

async function checkOffsetsRetention(admin: TopicAdmin): Promise<Finding[]> {
  const minutes = await admin.offsetsRetentionMinutes();
  if (!Number.isFinite(minutes))
    return [warning('offsets', 'how long brokers keep them is not told', 'make sure that offsets.retention.minutes is at least 21600')];
  const text = `kept ${minutes > 5_000_000 ? 'for ever' : formatDuration(minutes * MINUTE)} for a group without members`;
  if (minutes >= WANTED_OFFSETS_RETENTION_MINUTES) return [ok('offsets', text)];
  return [
    warning(
      'offsets',
      text,
      `set offsets.retention.minutes=${WANTED_OFFSETS_RETENTION_MINUTES} or more on the brokers: workers that are off for longer lose their place`,
    ),
  ];
}

async function checkProducer(config: Config, logger: Logger): Promise<Finding[]> {
  const producer = openProducer(config, logger);
  try {
    await producer.connect();
    return [ok('writing', 'an idempotent producer is allowed')];
  } finally {
    await producer.close();
  }
}

/** The right to a transactional id shows only when one is used. Workers name theirs after their group and a partition, so this one is nobody's. */
async function checkTransactions(config: Config, logger: Logger): Promise<Finding[]> {
  const clients = createClients(kafkaConnection(config), logger);
  for (const worker of STREAM_WORKERS) {
    const transactionalId = `${groupOf(config, worker)}-doctor`;
    const producer = await TaskProducer.fence({ clients, transactionalId, transactionTimeoutMs: TRANSACTION_TIMEOUT_MS });
    producer.close();
  }
  return [ok('transactions', 'allowed')];
}

async function checkGroups(config: Config, admin: TopicAdmin, logger: Logger): Promise<Finding[]> {
  // The role poll joins no group where there is nothing to poll.
  const working = WORKERS.filter((worker) => worker !== 'poll' || hasCredentials(POLLED_SOURCES, config.apps));
  const members = await countMembers(
    config,
    working.map((worker) => groupOf(config, worker)),
    logger,
  );
  return Promise.all(
    working.map(async (worker) => {
      const group = groupOf(config, worker);
      const lag = await admin.lag(group, INPUTS[worker]);
      const behind = [...lag.values()].reduce((sum, n) => sum + n, 0);
      const at = members.get(group) ?? 0;
      const text = `${behind} records behind, ${at === 0 ? 'nobody' : at} at work`;
      return behind > 0 && at === 0
        ? warning(
            `group ${worker}`,
            text,
            `start it: callstream run ${worker === 'recordings' || worker === 'channels' ? 'sessions' : worker}`,
          )
        : ok(`group ${worker}`, text);
    }),
  );
}

async function countMembers(config: Config, groups: string[], logger: Logger): Promise<Map<string, number>> {
  const admin = createClients(kafkaConnection(config), logger).consumers.admin();
  try {
    await connecting(admin.connect());
    const described = await admin.describeGroups(groups);
    return new Map(described.groups.map(({ groupId, members }) => [groupId, members.length]));
  } finally {
    await admin.disconnect();
  }
}

async function checkGaps(config: Config, logger: Logger): Promise<Finding[]> {
  const gaps = new Gaps(config, logger);
  try {
    const found = await gaps.find();
    if (found.length === 0) return [ok('gaps', 'none')];
    return found.map((gap) =>
      problem(
        `gap of ${gap.worker}`,
        `${gap.topic}, partition ${gap.partition}: ${gap.lost}`,
        `to go on: callstream doctor --accept-gap ${gap.topic} ${gap.partition}`,
      ),
    );
  } finally {
    await gaps.close();
  }
}

/** Raw topics carry the broker's time: their newest record must not come from the future. */
async function checkBrokerClock(config: Config, admin: TopicAdmin, logger: Logger, now: () => number): Promise<Finding[]> {
  const topic = RAW_TOPICS[0] ?? '';
  const ranges = await admin.ranges(topic);
  const partition = ranges.findIndex(({ low, end }) => end > low);
  if (partition === -1) return [ok('clock of Kafka', 'nothing to tell it by yet')];
  const reader = new TopicReader(kafkaConnection(config), `${config.kafka.groupPrefix}.doctor`, topic, logger);
  try {
    const record = await reader.readOne(partition, (ranges[partition]?.end ?? 1) - 1);
    const ahead = (record?.timestamp ?? 0) - now();
    if (ahead <= AHEAD_MS) return [ok('clock of Kafka', 'not ahead of ours')];
    return [
      problem(
        'clock of Kafka',
        `${formatDuration(Math.round(ahead))} ahead of ours`,
        'let NTP set the clocks of all machines: timers run on them',
      ),
    ];
  } finally {
    await reader.close();
  }
}
