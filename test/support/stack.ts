import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { SERVER_NAMES, type ServerName, type Stack, startStack } from '../../src/local/index.js';

/** The stack of one test file. Its fields may be read within hooks and tests. */
export interface TestStack {
  readonly stack: Stack;
  /** Removed at the end of the file. */
  readonly dataDir: string;
  /** Bootstrap servers for a Kafka client. */
  readonly brokers: string[];
  readonly registryUrl: string;
  readonly clickhouseUrl: string;
}

async function start(servers: readonly ServerName[], dataDir: string): Promise<Stack> {
  if (process.env.CALLSTREAM_TEST_SERVERS === 'containers') {
    const { startContainers } = await import('./containers.js');
    return startContainers(servers);
  }
  // What the file does not need counts as a server of somebody else's.
  const use = Object.fromEntries(SERVER_NAMES.filter((name) => !servers.includes(name)).map((name) => [name, 'not started']));
  return startStack({ dataDir, ports: { kafka: 0, registry: 0, clickhouse: 0 }, use });
}

/**
 * Gives a test file real servers of its own, on free ports and in a fresh folder, from its first hook to its last: the embedded ones, or
 * containers in the project `containers` of vitest.config.ts.
 * @param servers those that the file needs: fewer start sooner; reading the address of another one fails
 */
export function useStack(servers: readonly ServerName[] = SERVER_NAMES): TestStack {
  const dataDir = mkdtempSync(join(tmpdir(), 'callstream-test-'));
  let stack: Stack | undefined;
  beforeAll(async () => {
    stack = await start(servers, dataDir);
  });
  afterAll(async () => {
    await stack?.stop();
    rmSync(dataDir, { recursive: true, force: true });
  });
  const started = (): Stack => {
    if (stack === undefined) throw new Error('the stack is up only within hooks and tests of the file that called useStack()');
    return stack;
  };
  const address = (name: ServerName): string => {
    if (!servers.includes(name)) throw new Error(`this test file did not ask for ${name}`);
    return started()[name].address;
  };
  return {
    dataDir,
    get stack() {
      return started();
    },
    get brokers() {
      return address('kafka').split(',');
    },
    get registryUrl() {
      return address('registry');
    },
    get clickhouseUrl() {
      return address('clickhouse');
    },
  };
}
