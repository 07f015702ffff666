import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { NODE_OPTIONS } from '../../src/cli/node-options.js';
import { ROLES } from '../../src/cli/roles.js';
import { ENV, LOOPBACK, PORTS, REGISTRY_PATH } from '../../src/config/defaults.js';
import { parseConfig } from '../../src/config/index.js';

/** Used by the mounted configuration, not by the code. */
const TOKEN_HASH = 'CALLSTREAM_TOKEN_HASH';
/** Of the profile `monitoring`, which the code knows nothing of. */
const MONITORING = { CALLSTREAM_PROMETHEUS_PORT: [9091, 9090], CALLSTREAM_GRAFANA_PORT: [3000, 3000] } as const;

const text = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

interface Service {
  image: string;
  build?: { dockerfile: string };
  command?: string[];
  environment?: Record<string, string | number>;
  ports?: string[];
  volumes?: string[];
  healthcheck: { test: string[] };
  depends_on?: Record<string, { condition: string }>;
}
/** Merge keys (`<<`) are YAML 1.1, which Compose reads. */
const compose = parse(text('docker-compose.yml'), { merge: true }) as { services: Record<string, Service>; volumes: object };
const service = (name: string): Service => {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`there is no service ${name}`);
  return found;
};
const ours = Object.entries(compose.services).filter(([, { build }]) => build !== undefined);

const composeSpec = (): z.ZodType => {
  const { $schema: _, ...schema } = JSON.parse(text('test/support/compose-spec.schema.json')) as { $schema: string };
  return z.fromJSONSchema(schema, { defaultTarget: 'draft-7' });
};

describe('docker-compose.yml', () => {
  it('is valid by the schema of the Compose specification', () => {
    expect(composeSpec().safeParse(compose).error?.issues ?? []).toEqual([]);
  });

  it('would not be valid with a misspelt key or a wrong type', () => {
    const schema = composeSpec();
    const { services } = compose;
    for (const broken of [
      { ...compose, service: {} },
      { ...compose, services: { ...services, kafka: { ...services.kafka, imagee: 'kafka' } } },
      { ...compose, services: { ...services, kafka: { ...services.kafka, ports: '9092' } } },
      { ...compose, services: { ...services, api: { ...services.api, depends_on: { migrate: { condition: 'done' } } } } },
    ]) {
      expect(schema.safeParse(broken).success).toBe(false);
    }
  });

  it('publishes every port on this machine only, at the default of the contract, moved by its variable', () => {
    const published = Object.values(compose.services).flatMap(({ ports }) => ports ?? []);
    const expected = [
      [ENV.kafkaPort, PORTS.kafka],
      [ENV.registryPort, PORTS.registry],
      [ENV.clickhousePort, PORTS.clickhouse],
      [ENV.ingestPort, PORTS.ingest],
      [ENV.apiPort, PORTS.api],
    ].map(([variable, port]) => `${LOOPBACK}:\${${variable}:-${port}}:${port}`);
    const monitoring = Object.entries(MONITORING).map(
      ([variable, [outside, inside]]) => `${LOOPBACK}:\${${variable}:-${outside}}:${inside}`,
    );
    expect(published.sort()).toEqual([...expected, ...monitoring].sort());
  });

  it('runs every role, after the migration', () => {
    const commands = ours.map(([, { command }]) => command?.join(' '));
    expect(commands.sort()).toEqual(['migrate', ...ROLES.map((role) => `run ${role}`)].sort());
    for (const role of ROLES) expect(service(role).depends_on).toEqual({ migrate: { condition: 'service_completed_successfully' } });
    expect(Object.keys(service('migrate').depends_on ?? {}).sort()).toEqual(['clickhouse', 'kafka', 'registry']);
  });

  it('configures callstream by variables that it reads, with addresses that the servers have', () => {
    for (const [, { environment = {} }] of ours) {
      const known = [...Object.values(ENV), TOKEN_HASH];
      expect(known).toEqual(expect.arrayContaining(Object.keys(environment)));
      expect(environment[ENV.kafkaBrokers]).toBe('kafka:19092');
      expect(environment[ENV.registryUrl]).toBe(`http://registry:${PORTS.registry}${REGISTRY_PATH}`);
      expect(environment[ENV.clickhouseUrl]).toBe(`http://clickhouse:${PORTS.clickhouse}`);
    }
    const kafka = service('kafka').environment ?? {};
    expect(kafka.KAFKA_ADVERTISED_LISTENERS).toBe(`PLAINTEXT://kafka:19092,HOST://${LOOPBACK}:\${${ENV.kafkaPort}:-${PORTS.kafka}}`);
    expect(service('registry').environment).toMatchObject({ KAFKA_BOOTSTRAP_SERVERS: 'kafka:19092', QUARKUS_HTTP_PORT: PORTS.registry });
    expect(service('registry').healthcheck.test.join(' ')).toContain(REGISTRY_PATH);
  });

  it('asks the callstream containers on the port of their health checks', () => {
    for (const role of ROLES) expect(service(role).healthcheck.test.join(' ')).toContain(`:${PORTS.admin}/readyz`);
  });

  it('mounts a configuration that is valid and lets the published ports through', () => {
    const file = './deploy/compose/callstream.yaml';
    for (const [, { volumes }] of ours) expect(volumes).toContain(`${file}:/etc/callstream/callstream.yaml:ro`);
    const tokenHash = /:-([0-9a-f]{64})}$/.exec(String(service('api').environment?.[TOKEN_HASH]))?.[1];
    expect(tokenHash).toBe(createHash('sha256').update('callstream').digest('hex')); // The token that the file's header names.
    const { config } = parseConfig(text(file), { [TOKEN_HASH]: tokenHash });
    expect(config.ingest.host).toBe('0.0.0.0');
    expect(config.api).toMatchObject({ host: '0.0.0.0', tokenHash });
    // Every role but the one that asks, by its name among the containers.
    const roles = ours.map(([name]) => name).filter((name) => !['migrate', 'api'].includes(name));
    expect(config.api.admins).toEqual(roles.map((name) => `http://${name}:${PORTS.admin}`));
  });

  it('has the server versions of the embedded stack', () => {
    const pom = text('deploy/local/pom.xml');
    const versionOf = (name: string) => new RegExp(`<${name}.version>(.*)</${name}.version>`).exec(pom)?.[1];
    expect(service('kafka').image).toBe(`apache/kafka:${versionOf('kafka')}`);
    expect(service('registry').image).toBe(`quay.io/apicurio/apicurio-registry-kafkasql:${versionOf('apicurio')}`);
  });

  it('gives Kafka the settings of the embedded one that keep data and offsets', () => {
    expect(service('kafka').environment).toMatchObject({
      KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false',
      KAFKA_OFFSETS_RETENTION_MINUTES: 2_147_483_647,
      KAFKA_MESSAGE_MAX_BYTES: 8 * 1024 * 1024,
    });
  });
});

describe('deploy/Dockerfile', () => {
  const dockerfile = text('deploy/Dockerfile');

  it('runs the command line as a user without rights, and exposes its ports', () => {
    const { bin } = JSON.parse(text('package.json')) as { bin: { callstream: string } };
    expect(dockerfile).toContain(`ENTRYPOINT ${JSON.stringify(['node', ...NODE_OPTIONS, `/app/${bin.callstream}`]).replaceAll(',', ', ')}`);
    expect(dockerfile).toContain(`EXPOSE ${PORTS.ingest} ${PORTS.api} ${PORTS.admin}`);
    const lines = dockerfile.split('\n');
    expect(lines.indexOf('USER node')).toBeGreaterThan(0);
    expect(lines.indexOf('USER node')).toBeLessThan(lines.findIndex((line) => line.startsWith('ENTRYPOINT')));
  });

  it('copies only what .dockerignore lets through', () => {
    const allowed = text('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = dockerfile
      .split('\n')
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
      .flatMap((line) => line.split(/\s+/).slice(1, -1));
    expect(copied.length).toBeGreaterThan(5);
    for (const path of copied)
      expect(
        allowed.some((entry) => path === entry || path.startsWith(`${entry}/`)),
        path,
      ).toBe(true);
  });
});

describe('the callstream command', () => {
  it('runs Node as the supervisor does', () => {
    expect(text('src/cli/main.ts').split('\n')[0]).toBe(`#!/usr/bin/env -S node ${NODE_OPTIONS.join(' ')}`);
  });
});
