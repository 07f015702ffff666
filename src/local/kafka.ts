import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ENV, LOOPBACK } from '../config/defaults.js';
import { type JavaProgram, runJava, startJava } from './java.js';
import { kafkaServes } from './kafka-probe.js';
import { deployFile, jarsOf } from './paths.js';
import { claimPort, freePort } from './ports.js';
import type { Server, ServerOptions } from './server.js';

const MIB = 1024 * 1024;
const OFFSETS_PARTITIONS = 4;
const FOREVER_MINUTES = 2_147_483_647;

/** One broker that is its own controller: nothing is replicated, so every internal topic has one replica. */
function properties(logDir: string, port: number, controllerPort: number): string {
  const settings: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@${LOOPBACK}:${controllerPort}`,
    listeners: `PLAINTEXT://${LOOPBACK}:${port},CONTROLLER://${LOOPBACK}:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://${LOOPBACK}:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': logDir,
    'auto.create.topics.enable': false,
    'default.replication.factor': 1,
    'min.insync.replicas': 1,
    'message.max.bytes': 8 * MIB,
    'replica.fetch.max.bytes': 8 * MIB,
    // A laptop may sleep for weeks, and the offsets' metadata is state that must not expire.
    'offsets.retention.minutes': FOREVER_MINUTES,
    'offsets.topic.num.partitions': OFFSETS_PARTITIONS,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    // How soon the transaction of a dead producer is aborted after its timeout: until then readers of committed records wait.
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1_000,
    'share.coordinator.state.topic.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1_000,
    // A killed broker may register again only when its old session is over: 9 s by default.
    'broker.session.timeout.ms': 3_000,
    'broker.heartbeat.interval.ms': 500,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'log.cleaner.dedupe.buffer.size': 16 * MIB,
  };
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
}

/** Gives an empty data folder its cluster id. It is made aside and moved into place, so a format that was cut short leaves nothing. */
async function format(program: JavaProgram, logDir: string, port: number, controllerPort: number): Promise<void> {
  if (existsSync(logDir)) return;
  const fresh = `${logDir}.new`;
  rmSync(fresh, { recursive: true, force: true });
  const config = join(program.dataDir, 'format.properties');
  writeFileSync(config, properties(fresh, port, controllerPort));
  const clusterId = `c${randomBytes(16).toString('base64url').slice(1)}`; // An option may not start with a dash.
  await runJava({
    ...program,
    archive: 'kafka-format',
    main: [...program.main, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', config],
  });
  rmSync(config);
  renameSync(fresh, logDir);
}

/**
 * Starts Apache Kafka (KRaft, one process) and waits until it coordinates groups and transactions.
 * `address` is the bootstrap server, `127.0.0.1:PORT`.
 * @throws CallstreamError LOCAL_NOT_INSTALLED, LOCAL_PORT_TAKEN, LOCAL_START_FAILED
 */
export async function startKafka(options: ServerOptions): Promise<Server> {
  const jars = jarsOf('kafka');
  const port = await claimPort('Kafka', options.port, ENV.kafkaPort);
  const controllerPort = await freePort();
  const dataDir = resolve(options.dataDir);
  mkdirSync(dataDir, { recursive: true });
  const program: JavaProgram = {
    name: 'Kafka',
    archive: 'kafka',
    jars,
    flags: ['-Xms128m', '-Xmx512m', `-Dlog4j2.configurationFile=${deployFile('kafka-log4j2.properties')}`],
    main: ['-cp', jars.join(':')],
    dataDir,
    logFile: join(options.logDir, 'kafka.log'),
  };
  const logDir = join(dataDir, 'log');
  await format(program, logDir, port, controllerPort);
  const config = join(dataDir, 'server.properties');
  writeFileSync(config, properties(logDir, port, controllerPort));
  return startJava({ ...program, main: [...program.main, 'kafka.Kafka', config], port, address: `${LOOPBACK}:${port}` }, () =>
    kafkaServes(port, OFFSETS_PARTITIONS),
  );
}
