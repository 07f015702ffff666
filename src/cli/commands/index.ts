import type { Register } from '../program.js';
import { alerts } from './alerts.js';
import { backfill } from './backfill.js';
import { deadLetters } from './dead-letters.js';
import { doctor } from './doctor.js';
import { forgetUser } from './forget-user.js';
import { migrate } from './migrate.js';
import { rebuild } from './rebuild.js';
import { repair } from './repair.js';
import { run } from './run.js';
import { simulate } from './simulate.js';
import { up } from './up.js';

/** In the order in which `--help` lists them. */
export const COMMANDS: readonly Register[] = [
  up,
  run,
  migrate,
  simulate,
  backfill,
  deadLetters,
  alerts,
  repair,
  rebuild,
  forgetUser,
  doctor,
];
