import { type ClientRequestArgs, get } from 'node:http';

/** Images of the suite's container variant; the versions are those of docker-compose.yml, the registry without its need for a Kafka. */
export const IMAGES = {
  kafka: 'apache/kafka:4.2.2',
  registry: 'quay.io/apicurio/apicurio-registry-mem:2.6.13.Final',
  clickhouse: 'clickhouse/clickhouse-server:26.3',
};

const ANSWER_TIMEOUT_MS = 2_000;

/** Where the Docker engine listens, by DOCKER_HOST or the usual socket; undefined for a way that is not supported here (ssh). */
function engine(): ClientRequestArgs | undefined {
  const host = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
  const url = new URL(host);
  if (url.protocol === 'unix:') return { socketPath: url.pathname };
  if (url.protocol === 'tcp:') return { host: url.hostname, port: Number(url.port) };
  return undefined;
}

/** Status of a GET to the engine; undefined when nothing answers. */
function ask(path: string): Promise<number | undefined> {
  const target = engine();
  if (target === undefined) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const request = get({ ...target, path, timeout: ANSWER_TIMEOUT_MS }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode));
      response.once('error', () => resolve(undefined));
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(undefined));
  });
}

/** Why the container variant cannot run here; undefined when it can. Images are never pulled: no test reaches the internet. */
export async function whyNoContainers(): Promise<string | undefined> {
  if ((await ask('/_ping')) !== 200) return 'no Docker engine answers';
  const missing: string[] = [];
  for (const image of Object.values(IMAGES)) {
    if ((await ask(`/images/${image}/json`)) !== 200) missing.push(image);
  }
  return missing.length === 0
    ? undefined
    : `the Docker engine lacks images; get them with: ${missing.map((image) => `docker pull ${image}`).join('; ')}`;
}
