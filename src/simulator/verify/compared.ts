/** How much was compared. A run in which anything but the duplicates is zero proves nothing about it, and fails. What is optional is there where the configuration has it. */
export interface Compared {
  requests: number;
  calls: number;
  legs: number;
  events: number;
  dead_letters: number;
  rollup_cells: number;
  concurrency_minutes: number;
  missed_pairs: number;
  revisions: number;
  delivery_minutes: number;
  /** Distinct texts of REST records. */
  records?: number;
  /** Distinct polls of a user's media events; only where all calls' are fetched. */
  media_polls?: number;
  recordings?: number;
  /** Pairs of a call and a recording of it. */
  call_recordings?: number;
  channel_sessions?: number;
  /** The sum of contract §7.2 over the minutes of the run: received = folded + duplicates + dead. */
  received: number;
  folded: number;
  duplicates: number;
  dead: number;
}

/** Names of the figures that are zero; without chaos nothing comes twice. */
export const notCompared = (compared: Compared): string[] =>
  Object.entries(compared)
    .filter(([name, count]) => count === 0 && name !== 'duplicates')
    .map(([name]) => name.replaceAll('_', ' '));
