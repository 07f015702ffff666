import { Option } from 'commander';
import { DATA_DIR } from '../../config/index.js';
import type { Register } from '../program.js';
import { runUp } from '../up/up.js';
import { type ConfigOption, withConfig } from './options.js';

export const up: Register = (program, action) => {
  withConfig(
    program
      .command('up')
      .summary('everything on this machine: servers, roles, dashboard')
      .description(
        'Starts Kafka, a schema registry and ClickHouse on this machine, creates topics and tables, and runs every role, each in a process of its own that is started again when it dies.',
      )
      .option('--simulate', 'play the vendor: simulated calls, and the polled APIs')
      .addOption(new Option('--data <dir>', 'folder for all data; a later start continues with it').default(DATA_DIR)),
  )
    .addHelpText(
      'after',
      `
Without a configuration file it serves the demo app 1400000001, and with --simulate every source. Ctrl-C stops everything in order; the data stays.

Environment:
  KAFKA_BROKERS, SCHEMA_REGISTRY_URL, CLICKHOUSE_URL          use this server instead of starting one
  CALLSTREAM_KAFKA_PORT, _REGISTRY_PORT, _CLICKHOUSE_PORT     ports of the servers it starts (9092, 8081, 8123)
  CALLSTREAM_INGEST_PORT, _API_PORT, _ADMIN_PORT              ports of callstream itself (8080, 8090, 9090)
  CALLSTREAM_VENDOR_PORT                                      port of the demo's simulated vendor (8095)
  A port of 0 takes any free one.

Examples:
  $ callstream up --simulate
  $ callstream up --config callstream.yaml --data /var/lib/callstream
  $ CALLSTREAM_KAFKA_PORT=19092 CALLSTREAM_API_PORT=18090 callstream up`,
    )
    .action(
      action(async (io, options: ConfigOption & { simulate?: boolean; data: string }) =>
        runUp(io, { dataDir: options.data, file: options.config, simulate: options.simulate === true }),
      ),
    );
};
