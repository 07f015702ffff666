import type { z } from 'zod';
import { DAY, type listTimes, MAX_RANGE_MS, oneOf, type range, type zoned } from './params.js';
import { invalidParameter, type Problem } from './problem.js';
import { Conditions } from './query.js';
import { Zone } from './zone.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const STEPS = { '1m': MINUTE, '5m': 5 * MINUTE, '15m': 15 * MINUTE, '1h': HOUR, '1d': DAY } as const;
export type Step = keyof typeof STEPS;

export const stepped = {
  step: oneOf(['1m', '5m', '15m', '1h', '1d'])
    .optional()
    .describe(
      'Length of a bucket; by the length of the period when absent. Days begin at midnight in `tz`, the others at whole steps in UTC.',
    ),
};

export type RangeParams = z.output<z.ZodObject<typeof range>> & {
  [Name in keyof typeof stepped | keyof typeof zoned]?: z.output<z.ZodObject<typeof stepped & typeof zoned>>[Name] | undefined;
};

/** A period cut into whole buckets: [from, to). Times in epoch milliseconds. */
export interface Plan {
  from: number;
  to: number;
  step: Step;
  /** Of a day: 24 hours, though the days on which clocks change have more or less. */
  stepMs: number;
  /** Start of every bucket. */
  at: number[];
}

const MAX_POINTS = 3000;

function stepFor(length: number): Step {
  if (length <= 2 * HOUR) return '1m';
  if (length <= 12 * HOUR) return '5m';
  if (length <= 36 * HOUR) return '15m';
  return length <= 21 * DAY ? '1h' : '1d';
}

const UTC = new Zone('UTC');

/**
 * The buckets of a period. Without `from` it is the `window` (default one hour) that ends at `to` (default: now). Ends are widened to whole
 * buckets, so that the numbers of a summary are the sums of the series with the same parameters.
 * @throws Problem PARAMETER_INVALID
 */
export function planRange(params: RangeParams, now: number): Plan {
  if (params.from !== undefined && params.window !== undefined) throw invalidParameter('window', 'cannot be combined with from');
  const end = params.to ?? now;
  const length = params.from === undefined ? (params.window ?? HOUR) : end - params.from;
  if (length <= 0) throw invalidParameter('from', 'must be before to');
  if (length > MAX_RANGE_MS) throw invalidParameter('from', 'must be at most five years before to');
  const step = params.step ?? stepFor(length);
  const stepMs = STEPS[step];
  const tooMany = (): Problem => invalidParameter('step', `makes more than ${MAX_POINTS} points: choose a longer step or a shorter range`);
  if (length / stepMs > MAX_POINTS) throw tooMany();
  const at = step === '1d' ? dayStarts(params, end, length) : starts(params.from, end, length, stepMs);
  const to = at.pop()!;
  if (at.length > MAX_POINTS) throw tooMany();
  return { from: at[0]!, to, step, stepMs, at };
}

/** Bucket starts, and the end of the last one. */
function starts(from: number | undefined, end: number, length: number, stepMs: number): number[] {
  const to = Math.ceil(end / stepMs) * stepMs;
  const first = from === undefined ? to - Math.ceil(length / stepMs) * stepMs : Math.floor(from / stepMs) * stepMs;
  return Array.from({ length: (to - first) / stepMs + 1 }, (_, i) => first + i * stepMs);
}

/** A window of seven days is the last seven, this one among them. */
function dayStarts({ from, tz = UTC }: RangeParams, end: number, length: number): number[] {
  const days = tz.days(from ?? end - length, end);
  return from === undefined ? days.slice(-Math.ceil(length / DAY) - 1) : days;
}

/** As many buckets of the same length that end where this period begins. */
export function planBefore(plan: Plan, { tz = UTC }: RangeParams): Plan {
  const { from, step, stepMs, at } = plan;
  const previous =
    step === '1d' ? tz.days(from - (at.length + 1) * DAY, from).slice(-at.length - 1) : starts(undefined, from, at.length * stepMs, stepMs);
  const to = previous.pop()!;
  return { from: previous[0]!, to, step, stepMs, at: previous };
}

type ListTimes = { [Name in keyof typeof listTimes]?: z.output<(typeof listTimes)[Name]> | undefined };

/**
 * What is asked of a list, its period as moments. A window begins where a summary of it does, so that both count the same calls.
 * @throws Problem PARAMETER_INVALID
 */
export function listPeriod<T extends ListTimes>(wanted: T, now: number): Omit<T, 'window'> {
  const { window, ...rest } = wanted;
  const { from, to } = rest;
  if (from !== undefined && to !== undefined && from >= to) throw invalidParameter('from', 'must be before to');
  return window === undefined ? rest : { ...rest, from: planRange({ from, to, window }, now).from };
}

/** Conditions for rows of a relation of minutes. */
export const inBuckets = (plan: Plan): Conditions => new Conditions().during('t.bucket', plan);

/** Conditions for calls. */
export const startedWithin = (plan: Plan): Conditions => new Conditions().started(plan);

/** The bucket of a moment in epoch seconds, itself in epoch seconds, and the parameter that says where buckets begin. */
export function bucketOf(seconds: string, { at }: Plan): { sql: string; params: Record<string, unknown> } {
  return { sql: `roundDown(${seconds}, {starts:Array(UInt32)})`, params: { starts: at.map((ms) => ms / 1000) } };
}
