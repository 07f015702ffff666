import { join } from 'node:path';
import { ENV, PORTS } from '../config/defaults.js';
import { CallstreamError } from '../domain/errors.js';
import { startClickHouse } from './clickhouse.js';
import { startKafka } from './kafka.js';
import { startRegistry } from './registry.js';
import type { Exit, Server, ServerOptions } from './server.js';

export const SERVER_NAMES = ['kafka', 'registry', 'clickhouse'] as const;
export type ServerName = (typeof SERVER_NAMES)[number];

const STARTERS: Record<ServerName, (options: ServerOptions) => Promise<Server>> = {
  kafka: startKafka,
  registry: startRegistry,
  clickhouse: startClickHouse,
};

/** How to start a stack. */
export interface StackOptions {
  /** Each server keeps its data in a folder of its own in here, and its log in `log/`. */
  dataDir: string;
  /** Of 127.0.0.1; those of the contract when absent; 0 takes a free one. */
  ports?: Partial<Record<ServerName, number>>;
  /** Servers that run already: the address of each is passed through and nothing is started for it. */
  use?: Partial<Record<ServerName, string>>;
  /** Told when a server has been started, with what it took. */
  onStarted?: (name: ServerName, address: string, elapsed_ms: number) => void;
}

/** One of the three, as clients see it. */
export interface Member {
  /** Kafka: `host:port`, perhaps several with commas; the others: a base URL. */
  readonly address: string;
  /** The process, unless the caller uses a server of their own. After a `restart` it is another one. */
  readonly server: Server | undefined;
}

/** Kafka, the schema registry and ClickHouse, up and serving. */
export interface Stack extends Readonly<Record<ServerName, Member>> {
  /** Sends a signal to an embedded server and waits until it is gone. */
  kill(name: ServerName, signal: NodeJS.Signals): Promise<Exit>;
  /** Stops an embedded server if it still runs, and starts it again on the same port and data. */
  restart(name: ServerName): Promise<void>;
  /** Stops every embedded server, cleanly. */
  stop(): Promise<void>;
}

/** Reads the variables of the contract: addresses of servers to use, else ports for the embedded ones. */
export function stackFromEnv(env: NodeJS.ProcessEnv): Pick<StackOptions, 'ports' | 'use'> {
  const use: Partial<Record<ServerName, string>> = {};
  const ports: Partial<Record<ServerName, number>> = {};
  const variables: Record<ServerName, [address: string, port: string]> = {
    kafka: [ENV.kafkaBrokers, ENV.kafkaPort],
    registry: [ENV.registryUrl, ENV.registryPort],
    clickhouse: [ENV.clickhouseUrl, ENV.clickhousePort],
  };
  for (const name of SERVER_NAMES) {
    const [address, port] = variables[name];
    if (env[address]) use[name] = env[address];
    const number = portFromEnv(env, port);
    if (number !== undefined) ports[name] = number;
  }
  return { ports, use };
}

/**
 * The port that a variable names; undefined when it is not set. 0: any free one.
 * @throws CallstreamError LOCAL_BAD_PORT
 */
export function portFromEnv(env: NodeJS.ProcessEnv, variable: string): number | undefined {
  const text = env[variable];
  if (!text) return undefined;
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0 && number <= 65_535) return number;
  throw new CallstreamError('LOCAL_BAD_PORT', `${variable} must be a port from 0 (any free one) to 65535, not "${text}".`);
}

/**
 * Starts what the caller does not bring along, all at once, and waits until everything answers. When one fails, the others are stopped.
 * @throws CallstreamError LOCAL_NOT_INSTALLED, LOCAL_PORT_TAKEN, LOCAL_START_FAILED
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const begun = performance.now();
  const start = async (name: ServerName, port: number): Promise<Server> =>
    STARTERS[name]({ dataDir: join(options.dataDir, name), port, logDir: join(options.dataDir, 'log') });

  const servers = new Map<ServerName, Server>();
  const stop = async () => {
    await Promise.all([...servers.values()].map((server) => server.stop()));
  };
  const embedded = SERVER_NAMES.filter((name) => options.use?.[name] === undefined);
  const results = await Promise.allSettled(
    embedded.map(async (name) => {
      const server = await start(name, options.ports?.[name] ?? PORTS[name]);
      servers.set(name, server);
      options.onStarted?.(name, server.address, performance.now() - begun);
    }),
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }

  const serverOf = (name: ServerName): Server => {
    const server = servers.get(name);
    if (server === undefined) throw new CallstreamError('LOCAL_NOT_EMBEDDED', `${name} is not a server of this stack.`);
    return server;
  };
  const member = (name: ServerName): Member => ({
    get address() {
      return options.use?.[name] ?? serverOf(name).address;
    },
    get server() {
      return servers.get(name);
    },
  });
  return {
    kafka: member('kafka'),
    registry: member('registry'),
    clickhouse: member('clickhouse'),
    kill: (name, signal) => {
      const server = serverOf(name);
      server.kill(signal);
      return server.exited;
    },
    restart: async (name) => {
      const server = serverOf(name);
      await server.stop();
      servers.set(name, await start(name, server.port));
    },
    stop,
  };
}
