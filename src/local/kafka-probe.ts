import { connect } from 'node:net';
import { LOOPBACK } from '../config/defaults.js';

/*
 * The few requests that tell whether a broker serves, by hand: they are sent many times a second while it starts, and a client would log,
 * retry and keep connections. Formats: Kafka protocol guide, Metadata, FindCoordinator
 * and OffsetFetch, all version 1.
 */
const METADATA = 3;
const OFFSET_FETCH = 9;
const FIND_COORDINATOR = 10;
const VERSION = 1;
const CORRELATION_ID = 1;
const CLIENT_ID = 'callstream';
const PROBE = 'callstream-probe';
const COORDINATOR_TYPES = { group: 0, transaction: 1 };
const ANSWER_TIMEOUT_MS = 2_000;

const string = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(2);
  length.writeInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
};

/** Sends one request on a connection of its own; resolves to the body of the answer. */
function ask(port: number, api: number, body: Buffer): Promise<Buffer> {
  const header = Buffer.alloc(12);
  const client = string(CLIENT_ID);
  header.writeInt32BE(8 + client.length + body.length, 0);
  header.writeInt16BE(api, 4);
  header.writeInt16BE(VERSION, 6);
  header.writeInt32BE(CORRELATION_ID, 8);

  return new Promise((resolve, reject) => {
    const socket = connect({ host: LOOPBACK, port });
    let answer = Buffer.alloc(0);
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy(new Error('no answer')));
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('connection closed')));
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk]);
      if (answer.length < 4 || answer.length < 4 + answer.readInt32BE(0)) return;
      resolve(answer.subarray(8)); // behind the size and the correlation id
      socket.destroy();
    });
    socket.write(Buffer.concat([header, client, body]));
  });
}

/** The brokers that the one at this port knows to be at work, by id. */
async function brokersSeen(port: number): Promise<Set<number>> {
  const noTopics = Buffer.alloc(4);
  const answer = await ask(port, METADATA, noTopics);
  const ids = new Set<number>();
  let at = 4;
  for (let left = answer.readInt32BE(0); left > 0; left -= 1) {
    ids.add(answer.readInt32BE(at));
    at = skipString(answer, at + 4) + 4; // host, port
    at = skipString(answer, at); // rack
  }
  return ids;
}

/** Where the text at `at` ends; a length of -1 is null. */
const skipString = (bytes: Buffer, at: number): number => at + 2 + Math.max(0, bytes.readInt16BE(at));

/** The broker that coordinates `name`, null: none yet. Asking also makes the brokers create the internal topic behind it. */
async function coordinatorOf(port: number, name: string, type: number): Promise<number | null> {
  const answer = await ask(port, FIND_COORDINATOR, Buffer.concat([string(name), Buffer.from([type])]));
  // Behind the throttle time: the error code, its message, and the broker.
  return answer.readInt16BE(4) === 0 ? answer.readInt32BE(skipString(answer, 6)) : null;
}

/** Whether the coordinator of a group has loaded what it knows: asks for the offset of partition 0 of a topic that need not exist. */
async function hasLoaded(port: number, group: string): Promise<boolean> {
  const one = Buffer.from([0, 0, 0, 1]);
  const partition = Buffer.alloc(4);
  const topic = string(PROBE);
  const answer = await ask(port, OFFSET_FETCH, Buffer.concat([string(group), one, topic, one, partition]));
  // Number of topics, topic, number of partitions, partition, offset, metadata (empty or null), and then the error code.
  return answer.readInt16BE(answer.length - 2) === 0;
}

/** Names of groups, one for each partition of the offsets topic: the hash code of Java strings decides. */
function groupPerPartition(partitions: number): string[] {
  const groups = new Map<number, string>();
  for (let n = 0; groups.size < partitions; n++) {
    const group = `${PROBE}-${n}`;
    let hash = 0;
    for (let i = 0; i < group.length; i++) hash = (Math.imul(hash, 31) + group.charCodeAt(i)) | 0;
    groups.set((hash & 0x7fffffff) % partitions, group);
  }
  return [...groups.values()];
}

/** Whether a broker takes requests as a member of its cluster. */
export async function kafkaHasJoined(id: number, port: number): Promise<boolean> {
  return (await brokersSeen(port)).has(id);
}

/**
 * Whether all brokers have joined their cluster and coordinate groups and transactions. Before that, clients meet errors that not all of them
 * retry: kafkajs fails at once when it asks for offsets, or commits them in a transaction.
 * @param ports of the brokers, by id
 * @param offsetsPartitions number of partitions of the offsets topic, each with a coordinator of its own
 */
export async function kafkaServes(ports: ReadonlyMap<number, number>, offsetsPartitions: number): Promise<boolean> {
  const seen = await Promise.all([...ports.values()].map(brokersSeen));
  if (!seen.every((ids) => [...ports.keys()].every((id) => ids.has(id)))) return false;
  const [any] = ports.values();
  if (any === undefined || (await coordinatorOf(any, PROBE, COORDINATOR_TYPES.transaction)) === null) return false;
  const loaded = await Promise.all(
    groupPerPartition(offsetsPartitions).map(async (group) => {
      const port = ports.get((await coordinatorOf(any, group, COORDINATOR_TYPES.group)) ?? 0);
      return port !== undefined && (await hasLoaded(port, group));
    }),
  );
  return loaded.every(Boolean);
}
