import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CallstreamError } from '../domain/errors.js';
import { removeTree, runJava, startJava } from './java.js';
import { aliveBrokers } from './kafka-probe.js';
import { deployFile, jarsOf } from './paths.js';
import { claimPort, freePort, LOOPBACK } from './ports.js';
import { logTail, type Server } from './process.js';

/** Where a server of the stack keeps its things. */
export interface ServerOptions {
  /** Created when missing; a later start on the same folder continues with the same data. */
  dataDir: string;
  /** 0 takes a free one. */
  port: number;
  /** Folder for `<server>.log`. */
  logDir: string;
}

const MIB = 1024 * 1024;
const FOREVER_MINUTES = 2_147_483_647;

/** One broker that is its own controller: nothing is replicated, so every internal topic has one replica. */
function properties(dir: string, port: number, controllerPort: number): string {
  const settings: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@${LOOPBACK}:${controllerPort}`,
    listeners: `PLAINTEXT://${LOOPBACK}:${port},CONTROLLER://${LOOPBACK}:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://${LOOPBACK}:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': join(dir, 'log'),
    'auto.create.topics.enable': false,
    'default.replication.factor': 1,
    'min.insync.replicas': 1,
    'num.partitions': 1,
    'offsets.topic.num.partitions': 4,
    'offsets.topic.replication.factor': 1,
    'offsets.retention.minutes': FOREVER_MINUTES,
    'transaction.state.log.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1_000,
    'share.coordinator.state.topic.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1_000,
    'message.max.bytes': 8 * MIB,
    'replica.fetch.max.bytes': 8 * MIB,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'log.cleaner.dedupe.buffer.size': 16 * MIB,
    // After kill -9 the new process may register only when the session of the old one is over.
    'broker.session.timeout.ms': 3_000,
    'broker.heartbeat.interval.ms': 500,
  };
  return `${Object.entries(settings)
    .map(([key, value]) => `${key}=${value}`)
    .join('\n')}\n`;
}

/** Gives an empty data folder its cluster id. Complete or not there at all: a folder whose formatting was cut short is formatted anew. */
async function format(dir: string, config: string, logFile: string, classPath: string, jvm: string[]): Promise<void> {
  const done = join(dir, 'log', 'meta.properties');
  if (existsSync(done)) return;
  const fresh = join(dir, 'format');
  removeTree(fresh);
  mkdirSync(fresh, { recursive: true });
  const formatConfig = join(dir, 'format.properties');
  writeFileSync(formatConfig, readFileSync(config, 'utf8').replace(/^log\.dirs=.*$/m, `log.dirs=${fresh}`));
  const clusterId = randomBytes(16).toString('base64url').replace(/^-/, 'A');
  const code = await runJava({
    name: 'Kafka',
    archive: 'kafka-format',
    jvm,
    main: ['-cp', classPath, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', formatConfig],
    logFile,
  });
  if (code !== 0) {
    throw new CallstreamError(
      'LOCAL_START_FAILED',
      `Kafka could not format ${dir} (code ${code}). The end of ${logFile}:\n${logTail(logFile)}`,
    );
  }
  removeTree(join(dir, 'log'));
  renameSync(fresh, join(dir, 'log'));
}

/**
 * Starts Apache Kafka (KRaft, one process) and waits until it has joined its cluster.
 * `address` is the bootstrap server, `127.0.0.1:PORT`.
 * @throws CallstreamError LOCAL_NOT_INSTALLED, LOCAL_PORT_TAKEN, LOCAL_START_FAILED
 */
export async function startKafka(options: ServerOptions): Promise<Server> {
  const classPath = jarsOf('kafka').join(':');
  const port = await claimPort('Kafka', options.port, 'CALLSTREAM_KAFKA_PORT');
  mkdirSync(options.dataDir, { recursive: true });
  const config = join(options.dataDir, 'server.properties');
  writeFileSync(config, properties(options.dataDir, port, await freePort()));
  const logFile = join(options.logDir, 'kafka.log');
  const jvm = [
    '-Xms128m',
    '-Xmx512m',
    '-XX:+UseSerialGC',
    '-XX:+ExitOnOutOfMemoryError',
    '-Djava.awt.headless=true',
    `-Dlog4j2.configurationFile=${deployFile('kafka-log4j2.properties')}`,
  ];
  await format(options.dataDir, config, logFile, classPath, jvm);
  return startJava({
    name: 'Kafka',
    archive: 'kafka',
    jvm,
    main: ['-cp', classPath, 'kafka.Kafka', config],
    logFile,
    port,
    address: `${LOOPBACK}:${port}`,
    probe: async () => (await aliveBrokers(port)) > 0,
  });
}
