import type { Register } from '../program.js';
import { migrate } from './migrate.js';
import { run } from './run.js';
import { up } from './up.js';

/** In the order in which `--help` lists them. */
export const COMMANDS: readonly Register[] = [up, run, migrate];
