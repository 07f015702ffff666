import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Producer } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openCodec } from '../../src/codec/codec.js';
import type { Call } from '../../src/codec/generated.js';
import { SchemaRegistry } from '../../src/codec/registry.js';
import { TOPICS } from '../../src/codec/topics.js';
import { TopicAdmin } from '../../src/stream/admin.js';
import { Kafka, logLevel } from '../../src/stream/kafkajs.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { blankCall } from '../support/clickhouse-model.js';
import { useStack } from '../support/stack.js';

/*
 * The programs of docs/examples, as their readers run them, on a topic with calls that were committed and one that was not.
 * The Python one is tested where its packages are installed, the Java one where Maven can fetch its jars.
 */
const EXAMPLES = join(import.meta.dirname, '../../docs/examples');
const ROOT = join(import.meta.dirname, '../..');

const servers = useStack(['kafka', 'registry']);
let producer: Producer;
const jars = mkdtempSync(join(tmpdir(), 'callstream-jars-'));

const call = (call_id: string, more: Partial<Call>): Call =>
  blankCall({ app_id: '1400000001', call_id, status: 'ended', final: true, revision: 2, ...more });
const COMMITTED = [
  call('talked', { outcome: 'answered', talk_ms: 61_000 }),
  call('ringing still', { status: 'ringing', final: false, revision: 1 }),
  call('missed', { outcome: 'no_answer', revision: 3 }),
];
const ABORTED = [call('never was', { outcome: 'busy' })];
const LAST = [call('😀 the last', { outcome: 'rejected', revision: 4 })];
const EXPECTED = [
  '1400000001\ttalked\t2\tanswered\t61000',
  '1400000001\tmissed\t3\tno_answer\t0',
  '1400000001\t😀 the last\t4\trejected\t0',
];

beforeAll(async () => {
  const kafka = { brokers: servers.brokers };
  const admin = new TopicAdmin({ kafka, logger: silentLogger() });
  await admin.migrate({ partitions: 1, groups: {} });
  await admin.close();
  const registry = new SchemaRegistry({ url: servers.registryUrl });
  await registry.register(TOPICS.calls);
  const codec = await openCodec(TOPICS.calls, registry);
  producer = new Kafka({ ...kafka, logLevel: logLevel.NOTHING }).producer({
    transactionalId: 'examples',
    idempotent: true,
    maxInFlightRequests: 1,
  });
  await producer.connect();
  for (const [calls, ending] of [
    [COMMITTED, 'commit'],
    [ABORTED, 'abort'],
    [LAST, 'commit'],
  ] as const) {
    const transaction = await producer.transaction();
    const messages = calls.map((c) => ({ key: `tencent:${c.app_id}:${c.call_id}`, value: codec.encode(c), partition: 0 }));
    await transaction.send({ topic: TOPICS.calls.name, messages });
    await transaction[ending]();
  }
});
afterAll(async () => {
  await producer?.disconnect();
  rmSync(jars, { recursive: true, force: true });
});

/** Runs a program until it has printed the last call, tells it to end, and returns its lines. */
async function linesOf(command: string, args: readonly string[]): Promise<string[]> {
  const env = {
    ...process.env,
    KAFKA_BROKERS: servers.brokers.join(','),
    SCHEMA_REGISTRY_URL: servers.registryUrl,
    GROUP: `example ${command}`,
  };
  const child: ChildProcess = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  let out = '';
  let complaints = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  try {
    await vi.waitFor(
      () => {
        if (child.exitCode !== null) throw new Error(`${command} has ended: ${complaints}`);
        if (!out.includes('the last')) throw new Error(`${command} has not come to the last call: ${out} ${complaints}`);
      },
      { timeout: 90_000, interval: 50 },
    );
  } finally {
    child.kill('SIGTERM');
    await exited;
  }
  return out.trimEnd().split('\n');
}

const succeeds = (command: string, ...args: string[]): boolean => {
  try {
    execFileSync(command, args, { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
};

const hasPython = succeeds('python3', '-c', 'import confluent_kafka.schema_registry.avro');
if (!hasPython) console.log('docs/examples/python is not tested: pip install -r docs/examples/python/requirements.txt');

describe('the examples print each final call that was committed, once and in order', () => {
  test('TypeScript', async () => {
    const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
    execFileSync(process.execPath, [compiler, '-p', join(EXAMPLES, 'typescript/tsconfig.json')], { stdio: 'pipe' });
    expect(await linesOf(process.execPath, [join(ROOT, 'dist/examples/calls.js')])).toEqual(EXPECTED);
  });

  test.skipIf(!hasPython)('Python', async () => {
    expect(await linesOf('python3', [join(EXAMPLES, 'python/calls.py')])).toEqual(EXPECTED);
  });

  test('Java', async () => {
    const pom = join(EXAMPLES, 'java/pom.xml');
    execFileSync('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${jars}`], { stdio: 'pipe' });
    expect(await linesOf('java', ['-cp', join(jars, '*'), join(EXAMPLES, 'java/Calls.java')])).toEqual(EXPECTED);
  }, 240_000);
});
