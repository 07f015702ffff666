/** Which users go by which ids, from the configuration. */
import { openCodec } from '../codec/codec.js';
import type { PollCursor } from '../codec/generated.js';
import type { SchemaRegistry } from '../codec/registry.js';
import { TOPICS } from '../codec/topics.js';
import type { Config } from '../config/index.js';
import { Pseudonyms } from '../sources/pseudonym.js';
import type { Clock } from '../telemetry/clock.js';
import type { Logger } from '../telemetry/log.js';
import { ForgottenList } from '../workers/forgotten.js';
import { type ForgottenUsers, Users } from '../workers/users.js';
import { kafkaConnection } from './parts.js';
import { readDecoded, TopicReader } from './read-topic.js';

/** @param forgotten absent: nobody, as where nothing is folded */
export function usersOf({ apps, privacy }: Config, forgotten?: ForgottenUsers): Users {
  const asked = new Set(apps.flatMap((app) => (app.provider === 'tencent' && app.cloudApi !== undefined ? [app.appId] : [])));
  return new Users({
    pseudonyms: privacy.key === undefined ? null : new Pseudonyms(privacy.key),
    all: privacy.pseudonymiseUsers,
    seals: (appId) => asked.has(appId),
    ...(forgotten === undefined ? {} : { forgotten }),
  });
}

interface UsersOptions {
  config: Config;
  registry: SchemaRegistry;
  logger: Logger;
  clock: Clock;
  /** Of the consumer group that reads the list. */
  groupId: string;
}

/**
 * For what folds: the list of forgotten users is read now, and again as time passes.
 * @throws CallstreamError PRIVACY_KEY_CHANGED, also where someone was forgotten and there is no key any more; Kafka's and the registry's errors
 */
export async function openUsers({
  config,
  registry,
  logger,
  clock,
  groupId,
}: UsersOptions): Promise<{ users: Users; forgotten: ForgottenList; close(): Promise<void> }> {
  const codec = await openCodec(TOPICS.pollCursors, registry);
  const reader = new TopicReader(kafkaConnection(config), `${groupId}.forgotten`, TOPICS.pollCursors.name, logger);
  const positions = new Map<number, number>();
  const read = async (): Promise<PollCursor[]> => {
    const cursors: PollCursor[] = [];
    const reached = new Map<number, number>();
    await readDecoded(
      reader,
      codec,
      ({ partition, offset }, cursor) => {
        cursors.push(cursor);
        reached.set(partition, offset + 1);
      },
      positions,
    );
    for (const [partition, offset] of reached) positions.set(partition, offset);
    return cursors;
  };
  const { key } = config.privacy;
  const forgotten = new ForgottenList(key === undefined ? null : new Pseudonyms(key), read, clock);
  try {
    await forgotten.ready();
  } catch (error) {
    await reader.close();
    throw error;
  }
  if (key !== undefined) return { users: usersOf(config, forgotten), forgotten, close: () => reader.close() };
  await reader.close();
  return { users: usersOf(config), forgotten, close: async () => {} };
}
