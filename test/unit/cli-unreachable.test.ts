import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { explainError } from '../../src/cli/explain-error.js';
import { runCli } from '../../src/cli/program.js';
import { ClickHouseFailure } from '../../src/clickhouse/index.js';
import { CodecError } from '../../src/codec/registry.js';
import { terminal, type Written } from '../support/terminal.js';

const dir = mkdtempSync(join(tmpdir(), 'callstream-away-'));
const file = join(dir, 'callstream.yaml');
let port = 0;

/** A port that nobody listens on. */
beforeAll(async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as { port: number }).port;
  await new Promise((resolve) => server.close(resolve));
  writeFileSync(
    file,
    `apps: [{ provider: tencent, appId: "1" }]
kafka: { brokers: ["127.0.0.1:${port}"] }
registry: { url: "http://127.0.0.1:${port}" }
clickhouse: { url: "http://127.0.0.1:${port}", password: not-to-be-seen }
`,
  );
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function run(...args: string[]): Promise<Written & { code: number }> {
  const { io, written } = terminal({ CALLSTREAM_ADMIN_PORT: String(port), CALLSTREAM_DATA_DIR: dir });
  return { code: await runCli([...args, '--config', file], io), ...written };
}

const refused = () => `connect ECONNREFUSED 127.0.0.1:${port}`;

it('migrate without Kafka says so in one line', async () => {
  const { code, err } = await run('migrate');
  expect(code).toBe(1);
  expect(err).toContain(
    `callstream: Kafka: Connection error: ${refused()}. Is it up, and are kafka.brokers, kafka.ssl and kafka.sasl right?`,
  );
  expect(err.trimEnd().split('\n').length).toBe(2);
});

it.each(['dead-letters list', 'dead-letters show', 'dead-letters replay --all', 'repair --call 1 c'])(
  '%s without ClickHouse says so in one line',
  async (command) => {
    const { code, out, err } = await run(...command.split(' '));
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toBe(
      `callstream: ClickHouse does not answer: ${refused()}. Is it up, and are clickhouse.url, username and password right? \`callstream doctor\` says more. [CLICKHOUSE_UNAVAILABLE]\n`,
    );
  },
);

it('doctor names each server that does not answer, and what to look at', async () => {
  const { code, out } = await run('doctor');
  expect(code).toBe(1);
  expect(out).toContain(`✗ Kafka                Connection error: ${refused()}\n`);
  expect(out).toMatch(/✗ registry +127\.0\.0\.1:\d+ does not answer/);
  expect(out).toContain(`✗ ClickHouse           ${refused()}\n`);
  expect(out).toContain('! roles');
  expect(out).toContain('3 problems, 1 warnings.');
  expect(out).not.toContain('not-to-be-seen');
});

it('a registry that is away, rights and missing tables have a line each; what nobody foresaw keeps its stack', () => {
  expect(
    explainError(new CodecError('REGISTRY_UNAVAILABLE', 'the schema registry at http://r does not answer: connect ECONNREFUSED')),
  ).toBe(
    'the schema registry at http://r does not answer: connect ECONNREFUSED. Is it up, and are registry.url, username and password right? `callstream doctor` says more. [REGISTRY_UNAVAILABLE]',
  );
  const answer = (server: number, text: string) => explainError(new ClickHouseFailure('permanent', server, 'SELECT', new Error(text)));
  expect(answer(81, 'Database callstream does not exist.')).toBe(
    'ClickHouse: Database callstream does not exist. Run `callstream migrate` first. [CLICKHOUSE_REFUSED]',
  );
  expect(answer(516, 'default: Authentication failed\nmore')).toBe(
    'ClickHouse: default: Authentication failed. Are clickhouse.username and password right? [CLICKHOUSE_REFUSED]',
  );
  // kafkajs has no name for it.
  expect(explainError(new Error('Broker not connected'))).toMatch(/^Kafka: Broker not connected\. Is it up, .* \[KAFKA_UNAVAILABLE\]$/);
  const bug = new TypeError('undefined is no function');
  expect(explainError(bug)).toBe(bug.stack);
  expect(explainError(Object.assign(new Error('bad argument'), { name: 'KafkaJSNonRetriableError' }))).toContain('\n    at ');
});
