/** Where the log of one partition of the calls topic begins. */
export interface Beginning {
  /** First offset that it still has. */
  low: number;
  /** When its first record was written, epoch ms; null: it has none. */
  first: number | null;
}

/** A call is published some time after it was first seen: seconds, or as long as the worker stood still. */
const LONGEST_BEFORE_PUBLISHED_MS = 3_600_000;

/**
 * Since when every call that was first seen is on the topic, epoch ms; null: of none is it known. Of a partition whose beginning is gone, it is since its first
 * record, and unknown where it has none left. One that has its beginning lacks nothing, but the topic may be younger than the tables, as when Kafka was made anew: then
 * it is since the first record of all.
 */
export function reachOf(beginnings: readonly Beginning[]): number | null {
  const firsts = beginnings.flatMap(({ first }) => first ?? []);
  const cut = beginnings.filter(({ low }) => low > 0);
  if (firsts.length === 0 || cut.some(({ first }) => first === null)) return null;
  return Math.max(Math.min(...firsts) - LONGEST_BEFORE_PUBLISHED_MS, ...cut.flatMap(({ first }) => first ?? []));
}
