import { setTimeout as delay } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { expectRunning, type RoleProcess, type RoleWorld } from '../../support/role-world.js';
import { isProduce, type Matches, type TcpProxy } from '../../support/tcp-proxy.js';
import { sized } from '../../support/torture.js';
import type { Scenario } from './scenario.js';

const isInsert: Matches = (piece) => /INSERT(\+|%20| )INTO/.test(piece.toString('latin1', 0, 2_000));
const isQuestion: Matches = (piece) =>
  piece.subarray(0, 4).toString('latin1').startsWith('POST') || piece.subarray(0, 3).toString('latin1') === 'GET';
/** A question that nobody answers is given up after 10 to 30 s, whoever is asked. */
const GIVEN_UP_MS = 90_000;

async function closed(poller: RoleProcess | undefined): Promise<void> {
  expect(await poller?.metric('callstream_poll_breaker_open')).toBe(0);
}

/**
 * Networks between every pair: each role's connections lead through a proxy to Kafka, the registry, ClickHouse and the vendor, and are slow, torn in the middle of
 * answers, reset, and half-open.
 */
export const networks: Scenario = {
  name: 'networks between every role and what it talks to',
  // At two callbacks every PACE_MS, nearly 14 minutes of traffic: more than a round may take. What the faults leave of it tells nothing of networks, and takes its time.
  calls: sized(100, 2_000),
  rounds: 1,
  play: async (world, dice) => {
    const { kafka, clickhouse, vendor } = world.proxies;
    const all = [kafka, clickhouse, vendor];
    const running = world.processes;
    const [poller] = world.of('poll');
    const faults = { slow: 0, torn: 0, reset: 0, 'half-open': 0 };
    for (let round = 0; round < sized(1, 12); round += 1) {
      [kafka.delayMs, clickhouse.delayMs, vendor.delayMs] = [dice.int(30), dice.int(150), dice.int(400)];
      faults.slow += all.length;
      for (const [proxy, matches] of [
        [kafka, isProduce],
        [clickhouse, isInsert],
        [vendor, isQuestion],
      ] as const) {
        // A vendor that has failed often is asked once a minute at most, so whoever tears those answers too waits for the next: it answers first.
        if (proxy === vendor) await vi.waitFor(() => closed(poller), { timeout: GIVEN_UP_MS, interval: 50 });
        const { cuts } = proxy;
        proxy.cutAnswers(matches, { times: 2, afterBytes: dice.int(60) });
        await vi.waitFor(() => expect(proxy.cuts).toBeGreaterThanOrEqual(cuts + 2), { timeout: 60_000, interval: 20 });
        proxy.forget();
        faults.torn += 2;
      }
      for (const proxy of all) {
        proxy.reset();
        faults.reset += 1;
        await delay(dice.int(500));
      }
    }
    // Who hangs is noticed after 10 to 30 s: of ingest, sessions and sink roles-proxy.test.ts tells. The answers are still slow, so that some have come in part.
    for (let round = 0; round < sized(0, 3); round += 1) {
      for (const proxy of all) proxy.hang();
      faults['half-open'] += all.length;
      await delay(1_000 + dice.int(2_000));
      for (const proxy of all) proxy.resume();
      await world.allReady(GIVEN_UP_MS);
    }
    for (const proxy of all) proxy.delayMs = 0;
    await world.allReady();
    expectRunning(running);
    return { faults };
  },
};

/** Those whom nobody waits for: the query API, and what a person runs. */
export function askers(world: () => RoleWorld): void {
  it('the API, when ClickHouse is slow, torn off or silent: an error within its time, and answers again afterwards', async () => {
    const { clickhouse } = world().proxies;
    const api = await world().run('api');
    await world().allReady();
    const ask = async (): Promise<number> =>
      (await fetch(`http://127.0.0.1:${world().config.api.port}/api/v1/summary?window=24h`, { signal: AbortSignal.timeout(GIVEN_UP_MS) }))
        .status;
    await vi.waitFor(async () => expect(await ask()).toBe(200));
    const { cuts } = clickhouse;
    clickhouse.cutAnswers((piece) => piece.includes('metrics') || piece.includes('SELECT'), { times: 20, afterBytes: 10 });
    const torn = await Promise.all(Array.from({ length: 5 }, ask));
    clickhouse.forget();
    expect(clickhouse.cuts).toBeGreaterThan(cuts);
    for (const status of torn) expect([200, 502, 503]).toContain(status);
    await vi.waitFor(async () => expect(await ask()).toBe(200), { timeout: 10_000 });
    if (sized(false, true)) {
      clickhouse.hang();
      const asked = ask();
      const told = async (): Promise<void> => expect((await api.ready()).problems.join()).toContain('ClickHouse does not answer');
      await vi.waitFor(told, { timeout: GIVEN_UP_MS }).finally(() => clickhouse.resume());
      expect([502, 503, 504]).toContain(await asked);
      await vi.waitFor(async () => expect(await ask()).toBe(200), { timeout: GIVEN_UP_MS });
      await world().allReady(GIVEN_UP_MS);
    }
    api.signal('SIGTERM');
    expect(await api.exited).toEqual({ code: 0, signal: null });
  }, 300_000);

  it('a poller that starts, doctor and migrate, when nobody answers them: each ends, and says who does not', async () => {
    const { kafka, clickhouse, registry } = world().proxies;
    const endWhileHanging = async (proxy: TcpProxy, commands: readonly (readonly string[])[], says: RegExp): Promise<void> => {
      proxy.hang();
      const ended = await Promise.all(commands.map((args) => world().command(args)));
      proxy.resume();
      for (const [i, { code, text, ms }] of ended.entries()) {
        expect(text, commands[i]?.join(' ')).toMatch(says);
        expect(code, text).toBe(1);
        expect(ms, text).toBeLessThan(GIVEN_UP_MS);
      }
      await world().allReady(GIVEN_UP_MS);
    };
    await endWhileHanging(registry, [['run', 'poll'], ['doctor'], ['migrate']], /registry[\s\S]*(no answer within|does not answer)/i);
    if (sized(true, false)) return;
    await endWhileHanging(clickhouse, [['doctor'], ['migrate']], /ClickHouse[\s\S]*(no answer within|does not answer)/);
    await endWhileHanging(kafka, [['run', 'poll'], ['doctor'], ['migrate']], /Kafka|Broker/);
    expect(await world().command(['migrate'])).toMatchObject({ code: 0 });
  }, 600_000);
}
