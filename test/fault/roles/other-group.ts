import { expect, it } from 'vitest';
import type { Role } from '../../../src/cli/roles.js';
import type { RoleWorld } from '../../support/role-world.js';

const WITH_A_GROUP: readonly Role[] = ['sessions', 'events', 'sink', 'poll'];

export function otherGroup(world: () => RoleWorld): void {
  it.each(WITH_A_GROUP)(
    '%s, configured with another group than migrate has stored, ends with one clear line',
    async (role) => {
      const one = await world().run(role, { config: (yaml) => yaml.replace('kafka: {', 'kafka: { groupPrefix: elsewhere,') });
      expect(await one.exited).toEqual({ code: 1, signal: null });
      const said = one
        .text()
        .split('\n')
        .filter((line) => line.includes('"level":60'));
      expect(said).toHaveLength(1);
      const worker = role === 'sessions' ? '(sessions|recordings|channels)' : role;
      expect(said[0]).toMatch(
        new RegExp(`The worker ${worker} belongs to consumer group callstream-${worker}; elsewhere-${worker} is configured`),
      );
    },
    180_000,
  );
}
