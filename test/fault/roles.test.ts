import { afterAll, beforeAll, it } from 'vitest';
import { Dice } from '../support/clickhouse-model.js';
import { expectNoDifference, figuresOf, RoleWorld } from '../support/role-world.js';
import { progress, report, SEED, sized } from '../support/torture.js';
import { clockJumps } from './roles/clock-jumps.js';
import { askers, networks } from './roles/networks.js';
import { otherGroup } from './roles/other-group.js';
import type { Scenario } from './roles/scenario.js';
import { zombies } from './roles/zombies.js';

/*
 * Roles as processes, `callstream run ROLE`, among faults, in one installation. What topics, tables and rollups hold afterwards is compared with the simulator's
 * truth: in the short form once for all scenarios, for the comparison takes longest; in the long form after each round of each.
 */
const SCENARIOS: readonly Scenario[] = [zombies, clockJumps, networks];
const TOGETHER = sized(
  [SCENARIOS],
  SCENARIOS.map((scenario) => [scenario]),
);

let world: RoleWorld;
beforeAll(async () => {
  world = await RoleWorld.start(sized('records', 'all'));
  for (const role of ['ingest', 'poll', 'sessions', 'events', 'sink'] as const) await world.run(role);
  await world.allReady();
}, 180_000);
afterAll(() => world?.close());

otherGroup(() => world);
for (const [i, scenarios] of TOGETHER.entries()) {
  const rounds = sized(1, Math.max(...scenarios.map((scenario) => scenario.rounds)));
  const name = scenarios.map((scenario) => scenario.name).join('; ');
  it(
    `${name}: nothing lost, nothing twice, and all go on by themselves`,
    async () => {
      for (let round = 1; round <= rounds; round += 1) {
        const dice = new Dice(SEED + 1_000 * i + round);
        const faults: Record<string, number> = {};
        const notes: string[] = [];
        const calls = scenarios.reduce((sum, scenario) => sum + scenario.calls, 0);
        // Some happen in real time, and are under way when the faults begin.
        const traffic = { seed: `${SEED}-${i}-${round}`, chaos: 'mild', calls, live: calls / 20, concurrency: 2 } as const;
        const simulated = await world.simulate(traffic, async () => {
          for (const scenario of scenarios) {
            const played = await scenario.play(world, dice);
            Object.assign(faults, played.faults);
            if (played.note !== undefined) notes.push(played.note);
          }
        });
        progress(`${name}: round ${round} of ${rounds}`);
        report({ scenario: name, faults, ...figuresOf(simulated), note: notes.join('; ') });
        expectNoDifference(simulated);
      }
    },
    // Longer than play and comparison may take: what it waited for in vain is told, and the next one begins when this one is over.
    rounds * 1_500_000,
  );
}
askers(() => world);
