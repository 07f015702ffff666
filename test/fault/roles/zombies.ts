import { setTimeout as delay } from 'node:timers/promises';
import { expect, vi } from 'vitest';
import { groupOf, INPUTS, type Worker } from '../../../src/cli/parts.js';
import type { Role } from '../../../src/cli/roles.js';
import { TopicAdmin } from '../../../src/stream/admin.js';
import { silentLogger } from '../../../src/telemetry/log.js';
import type { Dice } from '../../support/clickhouse-model.js';
import { PACE_MS, type RoleProcess, type RoleWorld } from '../../support/role-world.js';
import { sized } from '../../support/torture.js';
import type { Played, Scenario } from './scenario.js';

const GROUPS = {
  sessions: ['sessions', 'recordings', 'channels'],
  events: ['events'],
  sink: ['sink'],
  poll: ['poll'],
} as const satisfies Partial<Record<Role, readonly Worker[]>>;
type Member = keyof typeof GROUPS;
const MEMBERS = Object.keys(GROUPS) as Member[];
/** A poller that stands by has nothing to lose. */
const STORMY: readonly Member[] = ['sessions', 'events', 'sink'];

/**
 * Members of every group that stop without a word for longer than their groups wait, and wake up among their heirs; then members that come and go every second
 * or two.
 */
export const zombies: Scenario = {
  name: 'zombies, and a storm of rebalances',
  calls: sized(200, 500),
  rounds: 5,
  play: (world, dice) => new Round(world, dice).play(),
};

async function leave(one: RoleProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  one.signal(signal);
  await one.exited;
}

class Round {
  readonly #world: RoleWorld;
  readonly #dice: Dice;
  readonly #faults = { SIGSTOP: 0, joined: 0, SIGTERM: 0, SIGKILL: 0 };

  constructor(world: RoleWorld, dice: Dice) {
    this.#world = world;
    this.#dice = dice;
  }

  async play(): Promise<Played> {
    for (const role of MEMBERS) if (this.#world.of(role).length < 2) await this.#world.run(role);
    for (const role of MEMBERS) await this.#members(role, 2);
    const pauses = new Pauses(this.#world);
    await this.#zombies();
    const { ingest } = this.#world.proxies;
    ingest.delayMs = 15;
    await pauses.measured(this.#storm(sized(10_000, 25_000)));
    ingest.delayMs = PACE_MS;
    for (const role of MEMBERS) {
      const [first, ...others] = this.#world.of(role);
      if (first === undefined) await this.#world.run(role);
      for (const other of others) await leave(other, 'SIGTERM');
    }
    await this.#world.allReady();
    const { SIGSTOP, ...storm } = this.#faults;
    const note = `longest time without progress in the storm while records waited: ${pauses.described || 'none seen'}`;
    expect(SIGSTOP).toBe(MEMBERS.length);
    expect(storm.joined + storm.SIGKILL + storm.SIGTERM, JSON.stringify(storm)).toBeGreaterThan(2);
    // Its group waits 10 s for a member that was killed, and up to 15 s more for those that have to join anew.
    expect(pauses.longest, note).toBeLessThan(60_000);
    expect(pauses.waits, 'nothing waited while the storm was watched').toBeGreaterThan(0);
    return { faults: this.#faults, note };
  }

  /** One of each role at the same time, each caught at another moment of its work. */
  async #zombies(): Promise<void> {
    await delay(this.#dice.int(2_000));
    const victims = await Promise.all(MEMBERS.map((role) => this.#victimOf(role)));
    for (const victim of victims) {
      victim.signal('SIGSTOP');
      await delay(this.#dice.int(40));
    }
    for (const role of MEMBERS) await this.#members(role, 1);
    await delay(this.#dice.int(1_000));
    for (const victim of victims) victim.signal('SIGCONT');
    for (const role of MEMBERS) await this.#members(role, 2);
    for (const { child, text } of victims) expect(child.exitCode, text().slice(-2_000)).toBeNull();
    this.#faults.SIGSTOP += victims.length;
  }

  /** The one of a role's processes that has work to lose: the poller that polls, any of the others. */
  async #victimOf(role: Member): Promise<RoleProcess> {
    const all = this.#world.of(role);
    if (role !== 'poll') return this.#dice.pick(all);
    const active = await Promise.all(all.map((one) => one.metric('callstream_poll_active')));
    return all[active.indexOf(1)] as RoleProcess;
  }

  async #storm(lastsMs: number): Promise<void> {
    const end = performance.now() + lastsMs;
    while (performance.now() < end) {
      const role = this.#dice.pick([...STORMY]);
      const present = this.#world.of(role);
      if (present.length < 2) {
        await this.#world.run(role);
        this.#faults.joined += 1;
      } else {
        const signal = this.#dice.chance(0.5) ? 'SIGTERM' : 'SIGKILL';
        await leave(this.#dice.pick(present), signal);
        this.#faults[signal] += 1;
      }
      await delay(this.#dice.int(1_500));
    }
  }

  /** Waits until each group of the role has so many members, and all of them agree on who does what. */
  async #members(role: Member, count: number): Promise<void> {
    const groups = GROUPS[role].map((worker) => groupOf(this.#world.config, worker));
    const wanted = groups.map((group) => ({ group, state: 'Stable', members: count }));
    await vi.waitFor(async () => expect(await this.#world.groups(groups)).toEqual(wanted), { timeout: 120_000, interval: 200 });
  }
}

/** How long groups stand still while they have something to do. */
class Pauses {
  readonly #world: RoleWorld;
  readonly #longest = new Map<Worker, number>();
  /** How often a group was seen with something to do, not for the first time: had it stood still, that would have been told. */
  waits = 0;

  constructor(world: RoleWorld) {
    this.#world = world;
  }

  get longest(): number {
    return Math.max(0, ...this.#longest.values());
  }

  get described(): string {
    return [...this.#longest].map(([worker, ms]) => `${worker} ${(ms / 1_000).toFixed(1)} s`).join(', ');
  }

  /** Watches until it is over. */
  async measured(storm: Promise<void>): Promise<void> {
    const admin = new TopicAdmin({ kafka: { brokers: this.#world.config.kafka.brokers }, logger: silentLogger() });
    let over = false;
    const moved = new Map<Worker, { committed: number; at: number }>();
    const watch = async (): Promise<void> => {
      while (!over) {
        for (const role of STORMY) await this.#look(admin, GROUPS[role][0], moved);
        await delay(100);
      }
    };
    try {
      await Promise.all([
        watch(),
        storm.finally(() => {
          over = true;
        }),
      ]);
    } finally {
      await admin.close();
    }
  }

  async #look(admin: TopicAdmin, worker: Worker, moved: Map<Worker, { committed: number; at: number }>): Promise<void> {
    const topics = [...INPUTS[worker]];
    const group = groupOf(this.#world.config, worker);
    const lag = [...(await admin.lag(group, topics)).values()].reduce((sum, n) => sum + n, 0);
    let committed = 0;
    for (const partitions of (await admin.offsets.committed(group, topics)).values())
      for (const one of partitions) committed += Math.max(0, one?.offset ?? 0);
    const now = performance.now();
    const last = moved.get(worker);
    if (last !== undefined && lag > 0) this.waits += 1;
    if (last === undefined || lag === 0 || committed > last.committed) moved.set(worker, { committed, at: now });
    else this.#longest.set(worker, Math.max(this.#longest.get(worker) ?? 0, now - last.at));
  }
}
