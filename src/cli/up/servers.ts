import { setTimeout as delay } from 'node:timers/promises';
import { ENV, type Loaded } from '../../config/index.js';
import { SERVER_NAMES, type ServerName, type Stack, stackFromEnv, startStack } from '../../local/index.js';
import type { Readiness } from '../../telemetry/admin-server.js';
import { backoffMs, DEFAULT_BACKOFF } from '../supervise/backoff.js';
import type { Console } from './console.js';

const TITLES: Record<ServerName, string> = { kafka: 'Kafka', registry: 'registry', clickhouse: 'ClickHouse' };

/** Servers that the configuration names: those are used, and not started. */
function configuredServers(loaded: Loaded): Partial<Record<ServerName, string>> {
  const { config, explicit } = loaded;
  return {
    ...(explicit.has('kafka.brokers') ? { kafka: config.kafka.brokers.join(',') } : {}),
    ...(explicit.has('registry.url') ? { registry: config.registry.url } : {}),
    ...(explicit.has('clickhouse.url') ? { clickhouse: config.clickhouse.url } : {}),
  };
}

/** The embedded servers of `up`, started again when they die. */
export class Servers {
  readonly #stopping = new AbortController();
  readonly #down = new Set<ServerName>();
  #watches: Promise<void>[] = [];

  private constructor(
    private readonly stack: Stack,
    private readonly terminal: Console,
  ) {}

  static async start(dataDir: string, loaded: Loaded, env: NodeJS.ProcessEnv, terminal: Console): Promise<Servers> {
    const stack = await startStack({
      dataDir,
      ports: stackFromEnv(env).ports ?? {},
      use: configuredServers(loaded),
      onStarted: (name, address) => terminal.event(TITLES[name], 'ready', address),
    });
    const servers = new Servers(stack, terminal);
    servers.#watches = SERVER_NAMES.filter((name) => stack[name].server !== undefined).map((name) => servers.#watch(name));
    return servers;
  }

  /** True when this Kafka is ours: one broker, few partitions. */
  get embeddedKafka(): boolean {
    return this.stack.kafka.server !== undefined;
  }

  /** How the roles find them. */
  get env(): NodeJS.ProcessEnv {
    return {
      [ENV.kafkaBrokers]: this.stack.kafka.address,
      [ENV.registryUrl]: this.stack.registry.address,
      [ENV.clickhouseUrl]: this.stack.clickhouse.address,
    };
  }

  get readiness(): Readiness {
    return { ok: this.#down.size === 0, problems: [...this.#down].map((name) => `${TITLES[name]} is down and started again`) };
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#watches);
    await this.stack.stop();
  }

  async #watch(name: ServerName): Promise<void> {
    const { signal } = this.#stopping;
    const stopped = new Promise<null>((resolve) => signal.addEventListener('abort', () => resolve(null), { once: true }));
    for (let failures = 0; ; ) {
      const server = this.stack[name].server;
      const begun = performance.now();
      const exit = server === undefined ? null : await Promise.race([server.exited, stopped]);
      if (exit === null || signal.aborted) return;
      this.#down.add(name);
      failures = performance.now() - begun >= DEFAULT_BACKOFF.healthyMs ? 1 : failures + 1;
      for (;;) {
        const wait = backoffMs(DEFAULT_BACKOFF, failures, Math.random());
        this.terminal.event(
          TITLES[name],
          `ended (${exit.signal ?? `exit code ${exit.code}`})`,
          `starting again in ${(wait / 1000).toFixed(1)} s`,
        );
        await delay(wait, undefined, { signal }).catch(() => {});
        if (signal.aborted) return;
        try {
          await this.stack.restart(name);
          break;
        } catch (error) {
          failures += 1;
          this.terminal.event(TITLES[name], 'did not start', error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error));
        }
      }
      this.#down.delete(name);
      this.terminal.event(TITLES[name], 'ready', this.stack[name].address);
    }
  }
}
