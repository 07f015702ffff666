/** What the poller and `backfill` are made of. */
import { openCodec, type TopicCodec } from '../codec/codec.js';
import type { PollCursor, RawEvent } from '../codec/generated.js';
import type { SchemaRegistry } from '../codec/registry.js';
import { TOPICS, type Topic } from '../codec/topics.js';
import type { Config } from '../config/index.js';
import type { SweepSettings } from '../poll/index.js';
import { POLLED_SOURCES } from '../sources/registry.js';
import type { Logger } from '../telemetry/log.js';
import { FORGET_SOURCE } from '../workers/forgotten.js';
import { groupOf, kafkaConnection } from './parts.js';
import { readWhole } from './read-topic.js';

/** Codecs of the raw topics of polled sources, by topic name. */
export async function openPolledCodecs(registry: SchemaRegistry): Promise<Map<string, TopicCodec<RawEvent>>> {
  const names = new Set(POLLED_SOURCES.map(({ topic }) => topic));
  const topics = Object.values(TOPICS).filter(({ name }) => names.has(name)) as Topic<RawEvent>[];
  const codecs = new Map<string, TopicCodec<RawEvent>>();
  for (const topic of topics) codecs.set(topic.name, await openCodec(topic, registry));
  return codecs;
}

export const sweepSettings = ({ polling, sessions }: Config): SweepSettings => ({ ...polling, maxCall: sessions.maxCall });

/** Everything that stands on the topic of cursors about sources. @throws CallstreamError KAFKA_UNAVAILABLE, REGISTRY_UNAVAILABLE */
export async function readCursors(config: Config, codec: TopicCodec<PollCursor>, logger: Logger): Promise<PollCursor[]> {
  const all = await readWhole(kafkaConnection(config), groupOf(config, 'poll'), TOPICS.pollCursors, codec, 'the cursors', logger);
  return all.filter(({ source }) => source !== FORGET_SOURCE);
}
