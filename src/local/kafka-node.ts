import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOOPBACK } from '../config/defaults.js';
import { type JavaProgram, runJava, startJava } from './java.js';
import { deployFile, jarsOf } from './paths.js';
import type { Server } from './server.js';

const MIB = 1024 * 1024;
export const OFFSETS_PARTITIONS = 4;
const FOREVER_MINUTES = 2_147_483_647;

/** A broker that is a controller as well: one of one, or one of several. All ports are of 127.0.0.1. */
export interface KafkaNode {
  /** For messages. */
  name: string;
  /** From 1. */
  id: number;
  port: number;
  /** The port that clients are told; another one than `port` where something stands between. */
  advertisedPort: number;
  /** For the other brokers, which are never to come by `advertisedPort`. Absent: they share `port`. */
  replicationPort?: number;
  /** Of every controller by its id, this one included. */
  controllerPorts: ReadonlyMap<number, number>;
  /** Holds the log, and the working folder. */
  dataDir: string;
  logFile: string;
  heapMiB: { initial: number; most: number };
}

/** As every broker of a cluster of three or more should be: two copies before an acknowledgement. A broker of its own replicates nothing. */
const replicationOf = (nodes: number): { copies: number; inSync: number } =>
  nodes >= 3 ? { copies: 3, inSync: 2 } : { copies: 1, inSync: 1 };

function properties(node: KafkaNode, logDir: string): string {
  const { id, port, advertisedPort, replicationPort, controllerPorts } = node;
  const { copies, inSync } = replicationOf(controllerPorts.size);
  const between = replicationPort === undefined ? '' : `,REPLICATION://${LOOPBACK}:${replicationPort}`;
  const settings: Record<string, string | number | boolean> = {
    'process.roles': 'broker,controller',
    'node.id': id,
    'controller.quorum.voters': [...controllerPorts].map(([voter, at]) => `${voter}@${LOOPBACK}:${at}`).join(','),
    listeners: `PLAINTEXT://${LOOPBACK}:${port}${between},CONTROLLER://${LOOPBACK}:${controllerPorts.get(id)}`,
    'advertised.listeners': `PLAINTEXT://${LOOPBACK}:${advertisedPort}${between}`,
    ...(replicationPort === undefined ? {} : { 'inter.broker.listener.name': 'REPLICATION' }),
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,REPLICATION:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': logDir,
    'auto.create.topics.enable': false,
    'default.replication.factor': copies,
    'min.insync.replicas': inSync,
    'unclean.leader.election.enable': false,
    'message.max.bytes': 8 * MIB,
    'replica.fetch.max.bytes': 8 * MIB,
    // A laptop may sleep for weeks, and the offsets' metadata is state that must not expire.
    'offsets.retention.minutes': FOREVER_MINUTES,
    'offsets.topic.num.partitions': OFFSETS_PARTITIONS,
    'offsets.topic.replication.factor': copies,
    'transaction.state.log.num.partitions': 4,
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': inSync,
    // How soon the transaction of a dead producer is aborted after its timeout: until then readers of committed records wait.
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1_000,
    'share.coordinator.state.topic.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': copies,
    'share.coordinator.state.topic.min.isr': inSync,
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

/** An option of the format tool may not start with a dash. */
export const newClusterId = (): string => `c${randomBytes(16).toString('base64url').slice(1)}`;

/** Gives an empty data folder its cluster id. It is made aside and moved into place, so a format that was cut short leaves nothing. */
async function format(program: JavaProgram, node: KafkaNode, logDir: string, clusterId: string): Promise<void> {
  if (existsSync(logDir)) return;
  const fresh = `${logDir}.new`;
  rmSync(fresh, { recursive: true, force: true });
  const config = join(program.dataDir, 'format.properties');
  writeFileSync(config, properties(node, fresh));
  await runJava({
    ...program,
    archive: 'kafka-format',
    main: [...program.main, 'kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', config],
  });
  rmSync(config);
  renameSync(fresh, logDir);
}

/**
 * Starts one broker, on a folder that it formats when it is new.
 * @param clusterId of a new folder; one that holds data keeps its own
 * @param serves as for `untilReady`
 * @throws CallstreamError LOCAL_NOT_INSTALLED, LOCAL_START_FAILED
 */
export async function startKafkaNode(node: KafkaNode, clusterId: string, serves: () => Promise<boolean>): Promise<Server> {
  const { name, port, advertisedPort, dataDir, logFile, heapMiB } = node;
  const jars = jarsOf('kafka');
  mkdirSync(dataDir, { recursive: true });
  const program: JavaProgram = {
    name,
    archive: 'kafka',
    jars,
    flags: [`-Xms${heapMiB.initial}m`, `-Xmx${heapMiB.most}m`, `-Dlog4j2.configurationFile=${deployFile('kafka-log4j2.properties')}`],
    main: ['-cp', jars.join(':')],
    dataDir,
    logFile,
  };
  const logDir = join(dataDir, 'log');
  await format(program, node, logDir, clusterId);
  const config = join(dataDir, 'server.properties');
  writeFileSync(config, properties(node, logDir));
  return startJava({ ...program, main: [...program.main, 'kafka.Kafka', config], port, address: `${LOOPBACK}:${advertisedPort}` }, serves);
}
