import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { groupOf, INPUTS, type Worker } from '../../src/cli/parts.js';
import type { Role } from '../../src/cli/roles.js';
import { TopicAdmin } from '../../src/stream/admin.js';
import { silentLogger } from '../../src/telemetry/log.js';
import { Dice } from '../support/clickhouse-model.js';
import { expectNoDifference, figuresOf, type RoleProcess, RoleWorld } from '../support/role-world.js';
import { report, SEED, sized } from '../support/torture.js';

/*
 * Members of every group that stop without a word and wake up when others have taken their place, and members that come and go all the time: whatever they
 * do, topics, tables and rollups are those of the simulator's truth.
 */

const GROUPS = {
  sessions: ['sessions', 'recordings', 'channels'],
  events: ['events'],
  sink: ['sink'],
  poll: ['poll'],
} as const satisfies Partial<Record<Role, readonly Worker[]>>;
type Member = keyof typeof GROUPS;
const MEMBERS = Object.keys(GROUPS) as Member[];

const dice = new Dice(SEED);
let world: RoleWorld;
let admin: TopicAdmin;

beforeAll(async () => {
  world = await RoleWorld.start(sized('records', 'all'));
  admin = new TopicAdmin({ kafka: { brokers: world.config.kafka.brokers }, logger: silentLogger() });
  await Promise.all((['ingest', ...MEMBERS] as const).map((role) => world.run(role)));
  await Promise.all(MEMBERS.map((role) => world.run(role)));
  await world.allReady();
  for (const role of MEMBERS) await members(role, 2);
}, 180_000);
afterAll(async () => {
  await admin?.close();
  await world?.close();
});

/** Waits until each group of the role has so many members, and all of them agree on who does what. */
async function members(role: Member, count: number): Promise<void> {
  const groups = GROUPS[role].map((worker) => groupOf(world.config, worker));
  await vi.waitFor(
    async () => expect(await world.groups(groups)).toEqual(groups.map((group) => ({ group, state: 'Stable', members: count }))),
    {
      timeout: 60_000,
      interval: 200,
    },
  );
}

/** The one of a role's processes that has work to lose: the poller that polls, any of the others. */
async function victimOf(role: Member): Promise<RoleProcess> {
  const all = world.of(role);
  if (role !== 'poll') return all[dice.int(all.length)] as RoleProcess;
  const active = await Promise.all(all.map((one) => one.metric('callstream_poll_active')));
  return all[active.indexOf(1)] as RoleProcess;
}

it(
  'zombies: stopped for longer than the group waits, they wake up among their heirs, and nothing is lost or there twice',
  async () => {
    let stops = 0;
    let woken: RoleProcess[] = [];
    const round = async (n: number): Promise<void> => {
      const simulated = await world.simulate(
        { seed: `${SEED}-zombies-${n}`, chaos: 'mild', calls: sized(220, 600), concurrency: sized(2, 3) },
        async () => {
          await delay(500 + dice.int(2_000));
          const victims = await Promise.all(MEMBERS.map(victimOf));
          // Not all at once, so that each is caught at another moment of its work.
          for (const victim of victims) {
            victim.signal('SIGSTOP');
            await delay(dice.int(40));
          }
          for (const role of MEMBERS) await members(role, 1);
          await delay(dice.int(1_000));
          for (const victim of victims) victim.signal('SIGCONT');
          for (const role of MEMBERS) await members(role, 2);
          stops += victims.length;
          woken = victims;
        },
      );
      report({ scenario: `zombies, round ${n}`, faults: { SIGSTOP: MEMBERS.length }, ...figuresOf(simulated) });
      expectNoDifference(simulated);
    };
    const rounds = sized(1, 12);
    for (let n = 1; n <= rounds; n += 1) {
      await round(n);
      for (const zombie of woken) expect(zombie.child.exitCode, zombie.text().slice(-2_000)).toBeNull();
      await world.allReady();
    }
    expect(stops).toBe(rounds * MEMBERS.length);
  },
  sized(180_000, 3_600_000),
);

it(
  'a storm of rebalances: members come and go every few seconds under load, and the work goes on',
  async () => {
    const lasts = sized(20_000, 300_000);
    const faults = { joined: 0, SIGTERM: 0, SIGKILL: 0 };
    const STORMY: readonly Member[] = ['sessions', 'events', 'sink'];
    const quiet = new LongestPause(STORMY);
    const simulated = await world.simulate(
      { seed: `${SEED}-storm`, chaos: 'mild', calls: sized(350, 4_000), concurrency: sized(2, 2) },
      async () => {
        const end = performance.now() + lasts;
        const watching = quiet.watchUntil(end);
        while (performance.now() < end) {
          const role = STORMY[dice.int(STORMY.length)] as Member;
          const present = world.of(role);
          if (present.length < 2) {
            await world.run(role);
            faults.joined += 1;
          } else {
            const leaver = present[dice.int(present.length)] as RoleProcess;
            const signal = dice.int(2) === 0 ? 'SIGTERM' : 'SIGKILL';
            leaver.signal(signal);
            await leaver.exited;
            faults[signal] += 1;
          }
          await delay(500 + dice.int(1_500));
        }
        await watching;
        for (const role of STORMY) if (world.of(role).length === 0) await world.run(role);
      },
    );
    const note = `longest time without progress while something waited: ${quiet.described}`;
    report({ scenario: 'a storm of rebalances', faults, ...figuresOf(simulated), note });
    expectNoDifference(simulated);
    expect(faults.joined + faults.SIGTERM + faults.SIGKILL, JSON.stringify(faults)).toBeGreaterThan(lasts / 6_000);
    // A member that is killed is waited for by its group for 10 s, and again by those that have to join anew meanwhile.
    expect(quiet.longest, note).toBeLessThan(60_000);
    await world.allReady();
  },
  sized(240_000, 1_800_000),
);

/** How long a group stands still while it has something to do. */
class LongestPause {
  readonly #workers: readonly Worker[];
  readonly #longest = new Map<Worker, number>();

  constructor(roles: readonly Member[]) {
    this.#workers = roles.map((role) => GROUPS[role][0]);
  }

  async watchUntil(end: number): Promise<void> {
    const moved = new Map<Worker, { committed: number; at: number }>();
    while (performance.now() < end) {
      for (const worker of this.#workers) {
        const { committed, lag } = await this.#look(worker);
        const now = performance.now();
        const last = moved.get(worker);
        if (last === undefined || lag === 0 || committed > last.committed) moved.set(worker, { committed, at: now });
        else this.#longest.set(worker, Math.max(this.#longest.get(worker) ?? 0, now - last.at));
      }
      await delay(100);
    }
  }

  get longest(): number {
    return Math.max(0, ...this.#longest.values());
  }

  get described(): string {
    return [...this.#longest].map(([worker, ms]) => `${worker} ${(ms / 1_000).toFixed(1)} s`).join(', ');
  }

  async #look(worker: Worker): Promise<{ committed: number; lag: number }> {
    const topics = [...INPUTS[worker]];
    const group = groupOf(world.config, worker);
    const lag = [...(await admin.lag(group, topics)).values()].reduce((sum, n) => sum + n, 0);
    const offsets = await admin.offsets.committed(group, topics);
    let committed = 0;
    for (const partitions of offsets.values()) for (const one of partitions) committed += Math.max(0, one?.offset ?? 0);
    return { committed, lag };
  }
}
