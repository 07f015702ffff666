import type { Dice } from '../../support/clickhouse-model.js';
import type { RoleWorld } from '../../support/role-world.js';

/** What a scenario did to the roles while traffic went through them. */
export interface Played {
  /** By kind. */
  faults: Record<string, number>;
  /** What else was measured, with its units. */
  note?: string;
}

export interface Scenario {
  name: string;
  /** Calls that keep the roles at work meanwhile, and how often it is played in the long form. */
  calls: number;
  rounds: number;
  /** Asserts what must hold meanwhile; what topics and tables hold is compared afterwards. All roles are at work again when it resolves. */
  play(world: RoleWorld, dice: Dice): Promise<Played>;
}
