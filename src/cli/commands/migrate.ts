import { createLogger } from '../../telemetry/log.js';
import { EXIT } from '../exit.js';
import { line } from '../io.js';
import { describeMigrated, migrateAll } from '../migrate.js';
import type { Register } from '../program.js';
import { type ConfigOption, loadForClient, withConfig } from './options.js';

export const migrate: Register = (program, action) => {
  withConfig(
    program
      .command('migrate')
      .summary('create or upgrade topics, schemas and tables')
      .description(
        'Creates or upgrades Kafka topics, registry schemas and ClickHouse tables. Idempotent: run it before every new version.',
      ),
  )
    .addHelpText(
      'after',
      `
The number of partitions (kafka.partitions, 12 by default) and the consumer groups are fixed by the first run: a later change is refused.
\`callstream up\` runs this by itself.

Examples:
  $ callstream migrate --config production.yaml`,
    )
    .action(
      action(async (io, options: ConfigOption) => {
        const { config } = loadForClient(io, options);
        const done = await migrateAll(config, {
          embeddedKafka: false,
          logger: createLogger({ level: 'error' }),
          onStep: (step) => io.err(`${step}\n`),
        });
        line(io, describeMigrated(done));
        return EXIT.ok;
      }),
    );
};
