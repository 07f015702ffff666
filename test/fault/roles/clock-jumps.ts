import { setTimeout as delay } from 'node:timers/promises';
import { expect, vi } from 'vitest';
import type { Role } from '../../../src/cli/roles.js';
import { expectRunning, type RoleWorld } from '../../support/role-world.js';
import { sized } from '../../support/torture.js';
import type { Scenario } from './scenario.js';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const ALL: readonly Role[] = ['ingest', 'sessions', 'poll', 'events', 'sink'];
/** Longer than a group waits for a heartbeat. */
const HOLD_MS = 12_000;

interface Leap {
  roles: readonly Role[];
  by: number;
  holdMs: number;
}

const SHORT: readonly Leap[] = [
  { roles: ALL, by: 30 * DAY, holdMs: 3_000 },
  { roles: ALL, by: -HOUR, holdMs: HOLD_MS },
];
const LONG: readonly Leap[] = [['ingest'], ['sessions'], ['poll'], ALL].flatMap((roles) =>
  [HOUR, -HOUR, 30 * DAY].map((by) => ({ roles: roles as readonly Role[], by, holdMs: HOLD_MS })),
);

/** The clock of the machine is set under roles that run, of one alone and of all together, and set right again. */
export const clockJumps: Scenario = {
  name: 'the clock leaps, and comes back',
  calls: sized(100, 1_200),
  rounds: 1,
  play: async (world) => {
    const running = world.processes;
    const watch = new Watch(world);
    const leaps = sized(SHORT, LONG);
    for (const { roles, by, holdMs } of leaps) {
      for (const role of roles) world.setClock(role, by);
      await watch.during(holdMs, roles);
      for (const role of roles) world.setClock(role, 0);
      await watch.believedAgain(roles);
    }
    await world.allReady();
    const note = `stream time at most ${Math.max(0, watch.ahead).toFixed(1)} s ahead; the poller used ${Math.round(watch.busiest * 100)}% of a processor at most`;
    // Every timer of a call runs on it.
    expect(watch.ahead, note).toBeLessThan(5);
    expect(watch.busiest, note).toBeLessThan(0.8);
    expectRunning(running);
    return { faults: { leaps: leaps.length }, note };
  },
};

/** What is seen while clocks are wrong. */
class Watch {
  readonly #world: RoleWorld;
  /** Of stream time before this machine's, the most, in seconds. */
  ahead = Number.NEGATIVE_INFINITY;
  /** Share of a processor that the poller has used, the most: pauses that are none would show here. */
  busiest = 0;

  constructor(world: RoleWorld) {
    this.#world = world;
  }

  async during(ms: number, roles: readonly Role[]): Promise<void> {
    const end = performance.now() + ms;
    const [poller] = this.#world.of('poll');
    const [polled, cpu, began] = [await this.#polled(), await poller?.metric('process_cpu_seconds_total'), performance.now()];
    while (performance.now() < end) {
      for (const one of this.#world.of('sessions')) {
        const times = await one.metrics('callstream_stream_time_seconds');
        this.ahead = Math.max(this.ahead, ...times.map((time) => time - Date.now() / 1_000));
      }
      await delay(200);
    }
    const used = ((await poller?.metric('process_cpu_seconds_total')) ?? 0) - (cpu ?? 0);
    this.busiest = Math.max(this.busiest, used / ((performance.now() - began) / 1_000));
    expect(this.ahead).toBeGreaterThan(Number.NEGATIVE_INFINITY);
    // Sweeps go on, and the vendor, whose clock is right, takes their signatures.
    await vi.waitFor(async () => expect(await this.#polled()).toBeGreaterThan(polled), { timeout: 60_000, interval: 100 });
    for (const role of roles) {
      for (const one of this.#world.of(role)) {
        const { problems } = await one.ready();
        expect(problems.join()).toMatch(/the clock of this machine has leapt/);
        expect(await one.metric('callstream_clock_doubted_seconds')).not.toBe(0);
      }
    }
  }

  async believedAgain(roles: readonly Role[]): Promise<void> {
    for (const one of roles.flatMap((role) => this.#world.of(role)))
      await vi.waitFor(async () => expect(await one.metric('callstream_clock_doubted_seconds')).toBe(0), { timeout: 10_000, interval: 50 });
  }

  /** Questions that vendors have answered with a page. */
  async #polled(): Promise<number> {
    const counts = await Promise.all(this.#world.of('poll').map((one) => one.metric('callstream_poll_requests_total', 'result="page"')));
    return counts.reduce((sum, n) => sum + n, 0);
  }
}
