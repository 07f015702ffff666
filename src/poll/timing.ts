/** How patient the poller is. All in milliseconds but the counts. */
export interface Timing {
  /** A request that takes longer has failed. The vendors' own limit is 3 s. */
  requestTimeout: number;
  /** Pauses before a page is asked for again: the first, and the longest. */
  retryFirst: number;
  retryMax: number;
  /** Failures of one page in a row that are not the host's, before the walk ends. */
  retries: number;
  /** First and longest pause of an operation that was asked too often, where the vendor names none. */
  slowDownFirst: number;
  slowDownMax: number;
  /** A source that was stopped is tried again after so long. */
  stoppedProbe: number;
  /** A task whose walk has failed is tried again after so long, longer each time, and so often. */
  roundFirst: number;
  roundMax: number;
  rounds: number;
  /** What the vendor does not have yet is asked for again after so long; there are no more attempts than that. */
  notYet: readonly number[];
  /** After taking over from another poller: its last requests count against the vendor's limits. */
  handover: number;
  /** Offsets of tasks that are done are committed so often. */
  commitEvery: number;
}

export const TIMING: Timing = {
  requestTimeout: 10_000,
  retryFirst: 500,
  retryMax: 30_000,
  retries: 5,
  slowDownFirst: 1_000,
  slowDownMax: 60_000,
  stoppedProbe: 600_000,
  roundFirst: 30_000,
  roundMax: 900_000,
  rounds: 8,
  notYet: [10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000],
  handover: 1_000,
  commitEvery: 1_000,
};
