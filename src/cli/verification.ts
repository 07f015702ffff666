import { openCodec } from '../codec/codec.js';
import type { RawEvent } from '../codec/generated.js';
import { TOPICS, type Topic } from '../codec/topics.js';
import type { Config } from '../config/index.js';
import type { SourceName, VerifyDeps } from '../simulator/index.js';
import { TopicAdmin } from '../stream/admin.js';
import { createLogger } from '../telemetry/log.js';
import { groupOf, INPUTS, kafkaConnection, openClickHouse, openRegistry, reachable, WORKERS, type Worker } from './parts.js';
import { readDecoded, TopicReader } from './read-topic.js';
import { usersOf } from './users.js';

const ASK_MS = 5_000;

/** Whose lag must be 0: not the poller's, whose tasks may rightly wait for hours while a vendor has nothing. */
const WATCHED = WORKERS.filter((worker) => !(INPUTS[worker] as readonly string[]).includes(TOPICS.tasks.name));

/** By RawEvent.source. */
const RAW: Readonly<Record<SourceName, Topic<RawEvent>>> = {
  tuicallkit: TOPICS.rawTuicallkit,
  tiw: TOPICS.rawTiw,
  'call-record': TOPICS.rawCallRecord,
  'user-event': TOPICS.rawUserEvent,
  'aliyun-rtc': TOPICS.rawAliyunRtc,
};

/** What the simulator may look at to compare the project with the truth. */
export async function openVerification(
  config: Config,
  onLine: (text: string) => void,
): Promise<{ deps: VerifyDeps; close(): Promise<void> }> {
  const logger = createLogger({ level: 'error' });
  const kafka = kafkaConnection(config);
  const registry = openRegistry(config);
  const clickhouse = openClickHouse(config);
  const admin = new TopicAdmin({ kafka, logger });
  const readers = new Map<string, TopicReader>();
  /** A reader joins a group once; one topic is one reader's. */
  async function read<T>(
    topic: Topic<T>,
    sink: (at: { partition: number; offset: number }, value: T) => void,
    from?: ReadonlyMap<number, number>,
  ): Promise<void> {
    const reader =
      readers.get(topic.name) ?? new TopicReader(kafka, `${config.kafka.groupPrefix}.verify.${topic.name}`, topic.name, logger);
    readers.set(topic.name, reader);
    await readDecoded(reader, await openCodec(topic, registry), sink, from);
  }
  const lagOf = async (worker: Worker): Promise<[string, number]> => {
    const byTopic = await admin.lag(groupOf(config, worker), INPUTS[worker]);
    return [worker, [...byTopic.values()].reduce((sum, n) => sum + n, 0)];
  };
  return {
    deps: {
      query: (sql, params, timeoutMs) => clickhouse.query(sql, params, timeoutMs),
      lag: async () => Object.fromEntries(await Promise.all(WATCHED.map(lagOf))),
      readRaw: (source, onRecord, from) =>
        read(RAW[source], ({ partition, offset }, event) => onRecord({ partition, offset, ...event }), from),
      readCalls: (onRecord) => read(TOPICS.calls, (_at, call) => onRecord(call)),
      readTasks: (onRecord) => read(TOPICS.tasks, (_at, task) => onRecord(task)),
      metrics: async () => {
        const response = await fetch(`http://${reachable(config.admin.host)}:${config.admin.port}/metrics`, {
          signal: AbortSignal.timeout(ASK_MS),
        });
        return new Map([['up', await response.text()]]);
      },
      users: usersOf(config),
      sessions: config.sessions,
      polling: config.polling,
      onLine,
    },
    close: async () => {
      await Promise.all([...[...readers.values()].map((reader) => reader.close()), admin.close(), clickhouse.close()]);
    },
  };
}
