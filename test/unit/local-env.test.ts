import { describe, expect, it } from 'vitest';
import { stackFromEnv } from '../../src/local/index.js';

describe('stackFromEnv', () => {
  it('starts everything on the default ports when nothing is set', () => {
    expect(stackFromEnv({})).toEqual({ ports: {}, use: {} });
    expect(stackFromEnv({ KAFKA_BROKERS: '', CALLSTREAM_KAFKA_PORT: '' })).toEqual({ ports: {}, use: {} });
  });

  it('uses the servers that are given, one by one', () => {
    expect(stackFromEnv({ KAFKA_BROKERS: 'a:9092,b:9092' }).use).toEqual({ kafka: 'a:9092,b:9092' });
    expect(stackFromEnv({ SCHEMA_REGISTRY_URL: 'http://r', CLICKHOUSE_URL: 'http://c' }).use).toEqual({
      registry: 'http://r',
      clickhouse: 'http://c',
    });
  });

  it('moves the embedded servers to the ports that are given', () => {
    expect(
      stackFromEnv({ CALLSTREAM_KAFKA_PORT: '19092', CALLSTREAM_REGISTRY_PORT: '0', CALLSTREAM_CLICKHOUSE_PORT: '18123' }).ports,
    ).toEqual({
      kafka: 19092,
      registry: 0,
      clickhouse: 18123,
    });
  });

  it.each(['-1', '65536', '80.5', 'http', '1e9'])('refuses %s as a port, and names the variable', (port) => {
    expect(() => stackFromEnv({ CALLSTREAM_REGISTRY_PORT: port })).toThrow(/CALLSTREAM_REGISTRY_PORT .*"/);
  });
});
