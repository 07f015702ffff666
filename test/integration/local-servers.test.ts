import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server as NetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@clickhouse/client';
import { ConfigResourceTypes, Kafka, logLevel } from 'kafkajs';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { freePort, type Server, type ServerOptions, startClickHouse, startKafka, startRegistry } from '../../src/local/index.js';

const root = mkdtempSync(join(tmpdir(), 'callstream-servers-'));
const running: Server[] = [];

/** Starts a server that is stopped at the end of its test, whatever happens in it. */
async function up(start: (options: ServerOptions) => Promise<Server>, name: string, port = 0): Promise<Server> {
  const server = await start({ dataDir: join(root, name), logDir: join(root, 'log'), port });
  running.push(server);
  return server;
}

/** The addresses that a process listens on, from the kernel. */
function listening(pid: number): string[] {
  const tables = ['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, 'utf8').trim().split('\n').slice(1));
  return tables.map((line) => line.trim().split(/\s+/)).flatMap((fields) => (fields[3] === '0A' ? [fields[1] ?? ''] : []));
}
const hexPort = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');
const LOOPBACK_V4 = '0100007F';
/** Java binds IPv4 addresses through IPv6 sockets. */
const LOOPBACK_MAPPED = '0000000000000000FFFF00000100007F';

function expectLoopbackOnly(server: Server): void {
  const hosts = listening(server.pid)
    .map((address) => address.split(':'))
    .filter(([, port]) => port === hexPort(server.port))
    .map(([host]) => host);
  expect(hosts).toHaveLength(1);
  expect([LOOPBACK_V4, LOOPBACK_MAPPED]).toContain(hosts[0]);
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('Kafka', () => {
  const client = (server: Server) => new Kafka({ brokers: [server.address], logLevel: logLevel.NOTHING });

  /** The value of every record of the topic, from its beginning. */
  async function readAll(server: Server, topic: string, count: number): Promise<string[]> {
    const consumer = client(server).consumer({ groupId: `reader-${Math.random()}`, readUncommitted: false });
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    const values: string[] = [];
    await new Promise<void>((resolve, reject) => {
      consumer
        .run({
          eachMessage: async ({ message }) => {
            values.push(message.value?.toString() ?? '');
            if (values.length === count) resolve();
          },
        })
        .catch(reject);
    });
    await consumer.disconnect();
    return values;
  }

  it('serves transactions and offsets as soon as it is up, and keeps both after kill -9 and after a clean stop', async () => {
    let server = await up(startKafka, 'kafka');
    expectLoopbackOnly(server);
    const write = async (value: string, offset: string) => {
      const kafka = client(server);
      const producer = kafka.producer({ transactionalId: 'writer', idempotent: true, maxInFlightRequests: 1 });
      await producer.connect();
      const transaction = await producer.transaction();
      await transaction.send({ topic: 'kept', messages: [{ value }] });
      await transaction.sendOffsets({ consumerGroupId: 'group', topics: [{ topic: 'kept', partitions: [{ partition: 0, offset }] }] });
      await transaction.commit();
      await producer.disconnect();
    };
    const committed = async () => {
      const admin = client(server).admin();
      await admin.connect();
      const offsets = await admin.fetchOffsets({ groupId: 'group', topics: ['kept'] });
      await admin.disconnect();
      return offsets[0]?.partitions[0]?.offset;
    };
    const admin = client(server).admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: 'kept', numPartitions: 1, replicationFactor: 1 }] });
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: ConfigResourceTypes.BROKER, name: '1' }],
    });
    const configs = Object.fromEntries((resources[0]?.configEntries ?? []).map((entry) => [entry.configName, entry.configValue]));
    expect(configs).toMatchObject({
      'auto.create.topics.enable': 'false',
      'offsets.retention.minutes': '2147483647',
      'message.max.bytes': String(8 * 1024 * 1024),
      'group.initial.rebalance.delay.ms': '0',
    });
    await admin.disconnect();
    await write('first', '1');

    server.kill('SIGKILL');
    expect(await server.exited).toEqual({ code: null, signal: 'SIGKILL' });
    server = await up(startKafka, 'kafka', server.port);
    expect(await committed()).toBe('1');
    await write('second', '3');

    await server.stop();
    server = await up(startKafka, 'kafka', server.port);
    expect(await committed()).toBe('3');
    expect(await readAll(server, 'kept', 2)).toEqual(['first', 'second']);
  });

  it('says which port is taken and how to move it', async () => {
    const holder: NetServer = createServer();
    const port = await freePort();
    await new Promise<void>((resolve) => holder.listen(port, '127.0.0.1', resolve));
    const failure = up(startKafka, 'kafka-taken', port);
    await expect(failure).rejects.toMatchObject({ code: 'LOCAL_PORT_TAKEN' });
    await expect(failure).rejects.toThrow(new RegExp(`port ${port} .*CALLSTREAM_KAFKA_PORT`));
    await new Promise((resolve) => holder.close(resolve));
  });

  it('shows the end of the log when it cannot start', async () => {
    const dataDir = join(root, 'kafka-broken');
    mkdirSync(join(dataDir, 'log'), { recursive: true });
    writeFileSync(join(dataDir, 'log', 'meta.properties'), 'version=1\ncluster.id=another\nnode.id=7\n');
    const failure = up(startKafka, 'kafka-broken');
    await expect(failure).rejects.toMatchObject({ code: 'LOCAL_START_FAILED' });
    await expect(failure).rejects.toThrow(/Kafka did not start: it ended with code 1.*node.id/s);
  });
});

describe('the schema registry', () => {
  const json = { 'content-type': 'application/vnd.schemaregistry.v1+json' };
  const register = async (server: Server, subject: string, schema: object): Promise<number> => {
    const response = await fetch(`${server.address}/subjects/${subject}/versions`, {
      method: 'POST',
      headers: json,
      body: JSON.stringify({ schema: JSON.stringify(schema) }),
    });
    return ((await response.json()) as { id: number }).id;
  };

  it('never gives the id of a schema to another one, even when killed right after it was registered', async () => {
    let server = await up(startRegistry, 'registry');
    expectLoopbackOnly(server);
    const record = (name: string) => ({ type: 'record', name, fields: [{ name: 'at', type: 'long' }] });
    const ids = new Map<string, number>();
    for (const name of ['One', 'Two', 'Three']) {
      ids.set(name, await register(server, `${name}-value`, record(name)));
      server.kill('SIGKILL');
      await server.exited;
      server = await up(startRegistry, 'registry', server.port);
    }
    expect(new Set(ids.values()).size).toBe(3);
    for (const [name, id] of ids) {
      const { schema } = (await (await fetch(`${server.address}/schemas/ids/${id}`)).json()) as { schema: string };
      expect(JSON.parse(schema)).toMatchObject({ name });
    }
  });
});

describe('ClickHouse', () => {
  it('keeps what it acknowledged after kill -9 and after a clean stop, and counts in UTC', async () => {
    let server = await up(startClickHouse, 'clickhouse');
    expectLoopbackOnly(server);
    const ask = async (query: string): Promise<unknown> => {
      const client = createClient({ url: server.address });
      try {
        return await (await client.query({ query, format: 'JSONCompactEachRow' })).json();
      } finally {
        await client.close();
      }
    };
    const insert = async (from: number) => {
      const client = createClient({ url: server.address });
      const values = Array.from({ length: 1_000 }, (_, i) => ({ id: from + i }));
      await client.insert({ table: 'kept.rows', values, format: 'JSONEachRow' });
      await client.close();
    };
    const command = async (query: string) => {
      const client = createClient({ url: server.address });
      await client.command({ query });
      await client.close();
    };
    await command('CREATE DATABASE kept');
    await command('CREATE TABLE kept.rows (id UInt64) ENGINE = MergeTree ORDER BY id');
    await insert(0);
    server.kill('SIGKILL');
    await server.exited;

    server = await up(startClickHouse, 'clickhouse', server.port);
    await insert(1_000);
    await server.stop();

    server = await up(startClickHouse, 'clickhouse', server.port);
    expect(await ask('SELECT count(), uniqExact(id), timezone() FROM kept.rows')).toEqual([[2000, 2000, 'UTC']]);
    expect(await ask("SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'")).toEqual([[String(4 * 1024 ** 3)]]);
  });

  it('stops in a moment although a client keeps a connection open', async () => {
    const server = await up(startClickHouse, 'clickhouse-idle');
    expect((await fetch(`${server.address}/ping`)).ok).toBe(true); // fetch keeps its connection
    const begun = performance.now();
    await server.stop();
    expect(performance.now() - begun).toBeLessThan(4_000);
  });

  it('refuses a folder that another server uses', async () => {
    await up(startClickHouse, 'clickhouse-shared');
    const failure = up(startClickHouse, 'clickhouse-shared');
    await expect(failure).rejects.toMatchObject({ code: 'LOCAL_START_FAILED' });
    await expect(failure).rejects.toThrow(/Another server instance in same directory/);
  });
});
