/** Every default of the project in one place: addresses, ports, environment variables, file names and the values of configuration fields. */

export const LOOPBACK = '127.0.0.1';

/** Environment variables that callstream reads. A variable that is set wins over the configuration file. */
export const ENV = {
  ingestPort: 'CALLSTREAM_INGEST_PORT',
  apiPort: 'CALLSTREAM_API_PORT',
  adminPort: 'CALLSTREAM_ADMIN_PORT',
  adminHost: 'CALLSTREAM_ADMIN_HOST',
  /** Admin addresses of other processes, which the role api reads. */
  adminUrls: 'CALLSTREAM_ADMIN_URLS',
  dataDir: 'CALLSTREAM_DATA_DIR',
  logLevel: 'CALLSTREAM_LOG_LEVEL',
  kafkaBrokers: 'KAFKA_BROKERS',
  registryUrl: 'SCHEMA_REGISTRY_URL',
  clickhouseUrl: 'CLICKHOUSE_URL',
  /** Ports of the embedded servers (`callstream up`). */
  kafkaPort: 'CALLSTREAM_KAFKA_PORT',
  registryPort: 'CALLSTREAM_REGISTRY_PORT',
  clickhousePort: 'CALLSTREAM_CLICKHOUSE_PORT',
  /** Port of the vendor that `callstream up --simulate` plays for the demo apps. */
  vendorPort: 'CALLSTREAM_VENDOR_PORT',
} as const;

export const PORTS = { ingest: 8080, api: 8090, admin: 9090, kafka: 9092, registry: 8081, clickhouse: 8123, vendor: 8095 } as const;

/** Path of the Confluent-compatible API of the embedded registry. */
export const REGISTRY_PATH = '/apis/ccompat/v7';

export const CONFIG_FILE = './callstream.yaml';
export const DATA_DIR = './.local/data';

/** The apps that `callstream up` serves when there is no configuration file: this one, and with --simulate one of another provider too. */
export const DEMO_APP_ID = '1400000001';
export const DEMO_CHANNEL_APP_ID = 'demo-rtc';

/** Partitions of every topic when the configuration does not say: of the embedded Kafka, and of any other. */
export const PARTITIONS = { embedded: 4, elsewhere: 12 } as const;

/** Values of absent fields, written as a user would write them. */
export const FIELD_DEFAULTS = {
  sessions: { ringTimeout: '2m', settle: '30s', maxCall: '12h', retention: '2h', channelGap: '5m' },
  polling: { sweepEvery: '1m', overlap: '15m', delay: '10s', userEvents: 'abnormal', recordSample: '0', backfillOnStart: '0s' },
  privacy: { pseudonymiseUsers: 'false', truncateClientIp: 'true' },
  kafka: { brokers: [`${LOOPBACK}:${PORTS.kafka}`], ssl: 'false', groupPrefix: 'callstream' },
  registry: { url: `http://${LOOPBACK}:${PORTS.registry}${REGISTRY_PATH}` },
  clickhouse: { url: `http://${LOOPBACK}:${PORTS.clickhouse}`, username: 'default', password: '', database: 'callstream' },
  ingest: { host: LOOPBACK, port: String(PORTS.ingest) },
  api: { host: LOOPBACK, port: String(PORTS.api) },
  admin: { host: LOOPBACK, port: String(PORTS.admin) },
  retention: { calls: '400d', events: '90d', metrics: '5y' },
} as const;
