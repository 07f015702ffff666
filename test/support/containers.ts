import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer, Wait } from 'testcontainers';
import { LOOPBACK, PORTS, REGISTRY_PATH } from '../../src/config/defaults.js';
import { freePort, type Member, SERVER_NAMES, type ServerName, type Stack } from '../../src/local/index.js';
import { IMAGES } from './docker.js';

const START_MS = 120_000;

/** Everything is published on a port that we choose, because Kafka must tell its clients, and because it stays when a container restarts. */
const container: Record<ServerName, (port: number) => GenericContainer> = {
  kafka: (port) =>
    new GenericContainer(IMAGES.kafka)
      .withExposedPorts({ container: PORTS.kafka, host: port })
      .withEnvironment({
        KAFKA_PROCESS_ROLES: 'broker,controller',
        KAFKA_NODE_ID: '1',
        KAFKA_CONTROLLER_QUORUM_VOTERS: '1@localhost:9093',
        KAFKA_CONTROLLER_LISTENER_NAMES: 'CONTROLLER',
        KAFKA_LISTENERS: `PLAINTEXT://:${PORTS.kafka},CONTROLLER://:9093`,
        KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://${LOOPBACK}:${port}`,
        KAFKA_LISTENER_SECURITY_PROTOCOL_MAP: 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
        KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
        KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS: '4',
        KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR: '1',
        KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS: '4',
        KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR: '1',
        KAFKA_TRANSACTION_STATE_LOG_MIN_ISR: '1',
        KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS: '0',
        KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS: '1000',
      })
      .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/)),
  registry: (port) =>
    new GenericContainer(IMAGES.registry)
      .withExposedPorts({ container: 8080, host: port })
      .withWaitStrategy(Wait.forHttp(`${REGISTRY_PATH}/subjects`, 8080)),
  clickhouse: (port) =>
    new GenericContainer(IMAGES.clickhouse)
      .withExposedPorts({ container: PORTS.clickhouse, host: port })
      .withEnvironment({ CLICKHOUSE_SKIP_USER_SETUP: '1', TZ: 'UTC' })
      .withWaitStrategy(Wait.forHttp('/ping', PORTS.clickhouse)),
};

const address: Record<ServerName, (port: number) => string> = {
  kafka: (port) => `${LOOPBACK}:${port}`,
  registry: (port) => `http://${LOOPBACK}:${port}${REGISTRY_PATH}`,
  clickhouse: (port) => `http://${LOOPBACK}:${port}`,
};

/** The stack in containers. `kill` and `restart` act on the container; its data stays with it. */
export async function startContainers(servers: readonly ServerName[]): Promise<Stack> {
  const running = new Map<ServerName, StartedTestContainer>();
  const addresses = new Map<ServerName, string>();
  await Promise.all(
    servers.map(async (name) => {
      const port = await freePort();
      running.set(name, await container[name](port).withStartupTimeout(START_MS).start());
      addresses.set(name, address[name](port));
    }),
  );
  const started = (name: ServerName): StartedTestContainer => {
    const found = running.get(name);
    if (found === undefined) throw new Error(`${name} was not started`);
    return found;
  };
  const member = (name: ServerName): Member => ({ address: addresses.get(name) ?? '', server: undefined });
  return {
    ...(Object.fromEntries(SERVER_NAMES.map((name) => [name, member(name)])) as Record<ServerName, Member>),
    kill: async (name, signal) => {
      const { container: runtime } = await getContainerRuntimeClient();
      const handle = runtime.getById(started(name).getId());
      await handle.kill({ signal });
      await handle.wait();
      return { code: null, signal };
    },
    restart: (name) => started(name).restart(),
    stop: async () => {
      await Promise.all([...running.values()].map((one) => one.stop()));
    },
  };
}
