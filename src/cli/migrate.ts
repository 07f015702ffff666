import type { Config } from '../config/index.js';

export interface MigrateOptions {
  /** A Kafka of one broker that `up` has started. */
  embeddedKafka: boolean;
  log(step: string): void;
}

/** Creates or upgrades topics, schemas and tables; idempotent. Resolves to a line that says what there is. */
export async function migrateAll(_config: Config, _options: MigrateOptions): Promise<string> {
  throw new Error('not wired yet');
}
