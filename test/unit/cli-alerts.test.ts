import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { advise, explainReason, explainStage } from '../../src/cli/dead-letters/explain.js';
import { runCli } from '../../src/cli/program.js';
import { terminal } from '../support/terminal.js';

const dir = mkdtempSync(join(tmpdir(), 'callstream-cli-alerts-'));
const file = join(dir, 'callstream.yaml');
const SECRET = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;
const got: string[] = [];
let status = 200;
const receiver: Server = createServer((request, response) => {
  request.resume();
  got.push(String(request.headers['webhook-signature']));
  response.writeHead(status).end();
});

beforeAll(async () => {
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook/hidden`;
  writeFileSync(
    file,
    `apps: [{ provider: tencent, appId: "1" }]
alerts:
  - { name: missed-rate, threshold: 0.25, apps: ["1"] }
  - { name: failed-rate, enabled: false }
webhooks: [{ name: ops, url: "${url}", secret: "\${SECRET}" }]
`,
  );
});
afterAll(() => {
  receiver.closeAllConnections();
  receiver.close();
  rmSync(dir, { recursive: true, force: true });
});

const run = async (...args: string[]) => {
  const { io, written } = terminal();
  const code = await runCli(['alerts', ...args, '--config', file], { ...io, env: { SECRET } });
  return { code, ...written };
};

it('rules shows those in force, in the units of their metrics', async () => {
  const { code, out } = await run('rules');
  expect(code).toBe(0);
  expect(out).toContain('missed-rate: missed_rate above 25.0% over 15m, n at least 20, for 5m, apps 1\n');
  expect(out).toContain('source-silent: source_silence above 1h over 1d, n at least 1000, for 0s\n');
  expect(out).not.toContain('failed-rate');
});

it('test sends one signed message, and tells what came of it without the URL', async () => {
  expect(await run('test', 'ops')).toMatchObject({ code: 0, out: 'ops answers 200.\n' });
  expect(got).toEqual([expect.stringMatching(/^v1,/)]);
  status = 500;
  const { code, err } = await run('test', 'ops');
  expect(code).toBe(1);
  expect(err).toContain('webhook ops: the receiver answers 500');
  expect(err).not.toContain('hidden');
});

it('says which rules, apps and webhooks there are', async () => {
  expect(await run('test', 'chat')).toMatchObject({ code: 2, err: 'callstream: no webhook chat. Webhooks are ops\n' });
  expect(await run('silence', 'failed-rate', '--for', '1h')).toMatchObject({
    code: 2,
    err: expect.stringMatching(/^callstream: no rule failed-rate is in force/),
  });
  expect(await run('silence', 'missed-rate', '--for', '1h', '--app', '2')).toMatchObject({
    code: 2,
    err: 'callstream: the configuration has no app 2\n',
  });
});

it('dead letters of webhooks are explained', () => {
  expect(explainStage('webhook:ops')).toContain('receiver of this webhook');
  expect(explainReason('webhook_expired')).toContain('a day old');
  expect(advise({ stage: 'webhook:ops', reason: 'webhook_gone', topic: 'callstream.calls' })).toContain('callstream alerts test');
});
