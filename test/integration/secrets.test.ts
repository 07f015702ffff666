import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../src/local/index.js';

/*
 * Every secret of a configuration is marked, every server is wrong in a way of its own, and everything that comes out of the processes is searched:
 * logs, metrics, readiness, answers, what commands print, and the spool.
 */

const MAIN = join(import.meta.dirname, '../../dist/cli/main.js');
const MARK = 'zq7mark';
const secret = (name: string): string => `${MARK}-${name}-0123456789`;
const TOKEN = secret('token');
const ENV = {
  PATH_SECRET: secret('path'),
  TIW_KEY: secret('tiw'),
  CALLKIT_KEY: secret('callkit'),
  CLOUD_ID: secret('cloud-id'),
  CLOUD_KEY: secret('cloud-key'),
  ALIYUN_ID: secret('aliyun-id'),
  ALIYUN_KEY: secret('aliyun-key'),
  KAFKA_USER: 'kafka-user',
  KAFKA_PASSWORD: secret('kafka'),
  REGISTRY_PASSWORD: secret('registry'),
  CLICKHOUSE_PASSWORD: secret('clickhouse'),
  PRIVACY_KEY: secret('privacy'),
  TOKEN_HASH: createHash('sha256').update(TOKEN).digest('hex'),
};

const dir = mkdtempSync(join(tmpdir(), 'callstream-secrets-'));
const file = join(dir, 'callstream.yaml');
let echo: Server;
let echoed = 0;
const ports = { ingest: 0, api: 0, admin: 0, closed: 0 };
let output = '';

/** A server that refuses, and repeats all it was sent: the worst place for a client's error message to quote. */
beforeAll(async () => {
  echo = createServer((request, response) => {
    let body = '';
    request.on('data', (data) => {
      body += data;
    });
    request.on('end', () => {
      echoed++;
      response.writeHead(401, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error_code: 40101, message: 'refused', url: request.url, headers: request.headers, body }));
    });
  });
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  for (const name of Object.keys(ports) as (keyof typeof ports)[]) ports[name] = await freePort();
  const url = `http://127.0.0.1:${(echo.address() as AddressInfo).port}`;
  writeFileSync(
    file,
    `apps:
  - provider: tencent
    appId: "1400000001"
    callbackSecret: \${PATH_SECRET}
    tiwCallbackKey: \${TIW_KEY}
    records: { endpoint: "${url}", identifier: administrator, secretKey: \${CALLKIT_KEY} }
    cloudApi: { endpoint: "${url}", region: ap-singapore, secretId: \${CLOUD_ID}, secretKey: \${CLOUD_KEY} }
  - provider: aliyun
    appId: 9qb1abcd
    api: { endpoint: "${url}", subscribeIds: [s], accessKeyId: \${ALIYUN_ID}, accessKeySecret: \${ALIYUN_KEY} }
privacy: { key: \${PRIVACY_KEY} }
kafka: { brokers: ["127.0.0.1:${ports.closed}"], sasl: { mechanism: plain, username: \${KAFKA_USER}, password: \${KAFKA_PASSWORD} } }
registry: { url: "${url}", username: registry-user, password: \${REGISTRY_PASSWORD} }
clickhouse: { url: "${url}", username: clickhouse-user, password: \${CLICKHOUSE_PASSWORD} }
ingest: { port: ${ports.ingest} }
api: { port: ${ports.api}, tokenHash: \${TOKEN_HASH} }
`,
  );
});
afterAll(async () => {
  await new Promise((resolve) => echo.close(resolve));
  rmSync(dir, { recursive: true, force: true });
});

function start(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args, '--config', file], {
    env: { ...process.env, ...ENV, CALLSTREAM_ADMIN_PORT: String(ports.admin), CALLSTREAM_DATA_DIR: dir, CALLSTREAM_LOG_LEVEL: 'trace' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      output += data;
    });
  return { child, ended: new Promise<number | null>((resolve) => child.once('close', resolve)) };
}

/** An answer, headers and all; what cannot be reached yet is asked again. */
async function ask(url: string, init: RequestInit = {}): Promise<string> {
  for (;;) {
    try {
      const response = await fetch(url, init);
      return `${response.status} ${JSON.stringify([...response.headers])} ${await response.text()}`;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Everything that a secret may look like. */
function secretsIn(text: string): string[] {
  const forms = [
    ...Object.entries(ENV)
      .filter(([name]) => name !== 'KAFKA_USER')
      .map(([, value]) => value),
    TOKEN,
  ];
  const basic = [`clickhouse-user:${ENV.CLICKHOUSE_PASSWORD}`, `registry-user:${ENV.REGISTRY_PASSWORD}`].map((pair) =>
    Buffer.from(pair).toString('base64'),
  );
  return [...forms, ...basic].filter((form) => text.includes(form) || text.includes(encodeURIComponent(form)));
}

it('no secret leaves the roles', async () => {
  const { child, ended } = start('run', 'ingest', 'api');
  const said: string[] = [];
  const [ingest, api, admin] = [ports.ingest, ports.api, ports.admin].map((port) => `http://127.0.0.1:${port}`);
  const sign = createHash('md5').update(`${ENV.TIW_KEY}1999999999`).digest('hex');
  const tiw = { SdkAppId: 1400000001, EventType: 'Unheard', Timestamp: 1, ExpireTime: 1999999999, Sign: sign, EventData: {} };
  const post = (path: string, body: string) => ask(`${ingest}${path}`, { method: 'POST', body });
  said.push(
    await post(`/callbacks/tuicallkit/${ENV.PATH_SECRET}?sdkappid=1400000001&token=${TOKEN}&x=${ENV.PATH_SECRET}`, '{"CallId":"c"}'),
  );
  expect(said[0]).toMatch(/^200 /);
  said.push(await post(`/callbacks/tiw/${ENV.PATH_SECRET}`, JSON.stringify(tiw)));
  expect(said[1]).toMatch(/^200 /);
  said.push(await post(`/callbacks/tuicallkit/${ENV.PATH_SECRET}x?sdkappid=1400000001`, '{}'));
  said.push(await post(`/callbacks/tuicallkit/${ENV.PATH_SECRET}/${TOKEN}`, '{}'));
  said.push(await post('/callbacks/tiw', JSON.stringify({ ...tiw, Sign: 'x' })));
  for (const path of ['/', '/api/v1/apps', '/api/v1/calls', '/nothing']) {
    said.push(await ask(api + path));
    said.push(await ask(api + path, { headers: { authorization: `Bearer ${TOKEN}` } }));
    said.push(await ask(api + path, { headers: { authorization: `Bearer ${TOKEN}x` } }));
  }
  expect(said.filter((answer) => answer.startsWith('503 '))).toHaveLength(2);
  for (const path of ['/healthz', '/readyz', '/metrics', '/nothing']) said.push(await ask(admin + path));
  child.kill('SIGTERM');
  await ended;
  expect(echoed).toBeGreaterThan(0);
  expect(output).toContain('the spool cannot be drained yet');
  expect(output).toContain('ClickHouse did not answer');
  expect(secretsIn(output + said.join('\n'))).toEqual([]);
  expect(output + said.join('\n')).not.toContain(sign);
  // The spool keeps bodies as they came; a path's secret is no part of them.
  const spool = join(dir, 'spool');
  const kept = readdirSync(spool)
    .filter((name) => name.endsWith('.seg'))
    .map((name) => readFileSync(join(spool, name), 'latin1'))
    .join('');
  expect(kept).toContain('Unheard');
  expect(secretsIn(kept)).toEqual([]);
});

it.each(['doctor', 'migrate', 'dead-letters list', 'dead-letters replay --all', 'repair --call 1400000001 c'])(
  'no secret is printed by %s',
  async (command) => {
    output = '';
    const before = echoed;
    expect(await start(...command.split(' ')).ended).toBe(1);
    if (command !== 'migrate') expect(echoed).toBeGreaterThan(before);
    expect(output.length).toBeGreaterThan(0);
    expect(secretsIn(output)).toEqual([]);
  },
);

it('no secret is repeated by a configuration that is wrong', async () => {
  output = '';
  const wrong = readFileSync(file, 'utf8')
    .replace('provider: aliyun', 'provider: nobody')
    .replace('tiwCallbackKey', 'tiwKey')
    .replace(/port: \d+/, `port: \${TIW_KEY}`);
  writeFileSync(file, wrong);
  expect(await start('run', 'api').ended).toBe(2);
  expect(output).toContain('problems');
  expect(secretsIn(output)).toEqual([]);
});
