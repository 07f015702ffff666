import { afterAll, beforeAll } from 'vitest';
import { RoleWorld } from '../support/role-world.js';
import { sized } from '../support/torture.js';
import { clockJumps } from './roles/clock-jumps.js';

import { networks } from './roles/networks.js';
import { otherGroup } from './roles/other-group.js';
import { zombies } from './roles/zombies.js';

/*
 * Roles as processes, `callstream run ROLE`, among faults. They share an installation, for its servers take longest to start; each scenario compares what it did
 * with the simulator's truth.
 */
let world: RoleWorld;
beforeAll(async () => {
  world = await RoleWorld.start(sized('records', 'all'));
  for (const role of ['ingest', 'poll', 'sessions', 'events', 'sink'] as const) await world.run(role);
  await world.allReady();
}, 180_000);
afterAll(() => world?.close());

const of = (): RoleWorld => world;
otherGroup(of);
zombies(of);
clockJumps(of);
networks(of);
