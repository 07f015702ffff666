import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Api, startApi } from '../../src/api/index.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { MemoryDesk } from '../support/alert-desk.js';

/*
 * An export whose reader is slow, goes away, or whose database fails on the way: there is no end to these calls.
 */

const NOW = Date.parse('2026-03-04T10:17:23.456Z');
const webDir = mkdtempSync(join(tmpdir(), 'callstream-web-'));
writeFileSync(join(webDir, 'main.js'), '');
let asked = 0;
let failAfter = Number.POSITIVE_INFINITY;
let api: Api;

beforeEach(async () => {
  asked = 0;
  failAfter = Number.POSITIVE_INFINITY;
  api = await startApi(
    { host: '127.0.0.1', port: 0, apps: [], webDir },
    {
      alerts: new MemoryDesk(),
      query: async (sql, { limit }) => {
        if (sql.includes('count()')) return [{ n: 1_000_000 }];
        if (asked++ >= failAfter) throw new Error('gone');
        return Array.from({ length: Number(limit) }, (_, i) => ({
          provider: 'tencent',
          app_id: 'a',
          call_id: `${asked}-${i}-${'x'.repeat(200)}`,
          started_at: NOW - asked,
          callees: [],
        }));
      },
      clock: { now: () => NOW },
      log: silentLogger(),
      metrics: createMetrics(),
    },
  );
});
afterEach(async () => {
  await api.stop();
});
afterAll(() => rmSync(webDir, { recursive: true, force: true }));

const open = (): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => get(`${api.address}/api/v1/calls/export?format=ndjson`, resolve).once('error', reject));

/** Waits until no further piece is asked for; without an end to that, the test fails by its timeout. */
async function untilStill(): Promise<number> {
  let before = -1;
  await expect
    .poll(
      () => {
        const still = asked === before;
        before = asked;
        return still;
      },
      { interval: 300, timeout: 20_000 },
    )
    .toBe(true);
  return asked;
}

describe('an export', () => {
  it('asks for no more than its reader takes, and for nothing once the reader is gone', async () => {
    const response = await open();
    expect(response.headers['x-total-count']).toBe('1000000');
    response.pause();
    const first = await untilStill();
    // What fits into the buffers of two sockets, a few megabytes a piece.
    expect(first).toBeLessThan(20);
    response.destroy();
    expect(await untilStill()).toBeLessThan(first + 3);
  });

  it('that fails on the way does not look complete', async () => {
    failAfter = 2;
    const response = await open();
    await expect(
      (async () => {
        for await (const _ of response);
      })(),
    ).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(response.complete).toBe(false);
  });
});
