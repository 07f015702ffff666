import { z } from 'zod';
import { invalidParameters, Problem } from './problem.js';

/** In the order in which pages and charts show them. */
export const OUTCOMES = ['answered', 'no_answer', 'cancelled', 'rejected', 'busy', 'failed', 'unknown'] as const;
export type OutcomeName = (typeof OUTCOMES)[number];

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const UNIT_MS = { m: MINUTE, h: HOUR, d: DAY } as const;
const MAX_RANGE_MS = 5 * 366 * DAY;
/** 2000-01-01..2100-01-01, as for every time of a call. */
const EARLIEST = 946_684_800_000;
const LATEST = 4_102_444_800_000;

const ISO = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/;

/** Epoch milliseconds, or ISO 8601 with a zone (a date alone is its start in UTC). Becomes epoch milliseconds. */
const instant = z.string().transform((text, context) => {
  const at = /^\d{1,15}$/.test(text) ? Number(text) : ISO.test(text) ? Date.parse(text) : Number.NaN;
  if (at >= EARLIEST && at < LATEST) return at;
  context.addIssue({
    code: 'custom',
    message: 'must be epoch milliseconds or ISO 8601 with a zone (2026-01-31T09:00:00Z), between 2000 and 2100',
  });
  return z.NEVER;
});

const duration = z.string().transform((text, context) => {
  const match = /^([1-9]\d{0,5})([mhd])$/.exec(text);
  const ms = match ? Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS] : Number.NaN;
  if (ms <= MAX_RANGE_MS) return ms;
  context.addIssue({ code: 'custom', message: 'must be a number with m, h or d (15m, 6h, 30d), at most five years' });
  return z.NEVER;
});

const id = z.string().min(1, { error: 'must not be empty' }).max(4096, { error: 'must not be longer than 4096 characters' });

const oneOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, { error: `must be one of ${values.join(', ')}` });

const commaList = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.string().transform((text, context): T[number][] => {
    const items = [...new Set(text.split(','))];
    const wrong = items.filter((item) => !values.includes(item));
    if (wrong.length === 0) return items as T[number][];
    context.addIssue({ code: 'custom', message: `must be a comma-separated list of ${values.join(', ')}` });
    return z.NEVER;
  });

const limit = z.string().transform((text, context) => {
  const n = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (n >= 1 && n <= 500) return n;
  context.addIssue({ code: 'custom', message: 'must be a number from 1 to 500' });
  return z.NEVER;
});

const range = { from: instant.optional(), to: instant.optional(), window: duration.optional() };
const scope = {
  app: id.optional(),
  type: oneOf(['single', 'group', 'channel']).optional(),
  media: oneOf(['audio', 'video']).optional(),
};

const STEPS = { '1m': MINUTE, '5m': 5 * MINUTE, '15m': 15 * MINUTE, '1h': HOUR, '1d': DAY } as const;
export type Step = keyof typeof STEPS;

export const summaryParams = z.strictObject({ ...range, ...scope });
export const seriesParams = z.strictObject({ ...range, ...scope, step: oneOf(['1m', '5m', '15m', '1h', '1d']).optional() });
export const callsParams = z.strictObject({
  from: range.from,
  to: range.to,
  ...scope,
  outcome: commaList(OUTCOMES).optional(),
  status: commaList(['ringing', 'active', 'ended']).optional(),
  missed: oneOf(['true', 'false'])
    .transform((text) => text === 'true')
    .optional(),
  user: id.optional(),
  room: id.optional(),
  call: id.optional(),
  /** A call id, room or user, whichever it is. */
  q: id.optional(),
  limit: limit.default(50),
  cursor: z.string().max(8192, { error: 'is not a cursor of this endpoint' }).optional(),
});
export const liveParams = z.strictObject({ app: id.optional(), since: instant.optional() });
export const noParams = z.strictObject({});

export type Scope = Pick<z.infer<typeof summaryParams>, 'app' | 'type' | 'media'>;
export type SeriesParams = z.infer<typeof seriesParams>;
export type CallsParams = z.infer<typeof callsParams>;

/** @throws Problem PARAMETER_INVALID naming every wrong or unknown parameter */
export function parse<T extends z.ZodType>(schema: T, input: unknown): z.infer<T> {
  // A parameter that is given twice arrives as an array, which no schema here accepts.
  const result = schema.safeParse(input, { error: (issue) => (issue.code === 'invalid_type' ? 'must be given once' : undefined) });
  if (!result.success) throw invalidParameters(result.error);
  return result.data;
}

/** A stretch of time cut into whole buckets: [from, to), both multiples of the step since the epoch. */
export interface Plan {
  from: number;
  to: number;
  step: Step;
  stepMs: number;
  /** The coarsest relation whose buckets make up the step. */
  relation: 'metrics_1m' | 'metrics_1h' | 'metrics_1d';
}

const MAX_POINTS = 3000;

function stepFor(length: number): Step {
  if (length <= 2 * HOUR) return '1m';
  if (length <= 12 * HOUR) return '5m';
  if (length <= 36 * HOUR) return '15m';
  return length <= 21 * DAY ? '1h' : '1d';
}

/**
 * The buckets for a range. Without `from` it is the `window` (default one hour) that ends at `to` (default: now). Ends are widened to whole
 * buckets, so that the numbers of a summary are the sums of the series with the same parameters.
 * @throws Problem PARAMETER_INVALID
 */
export function planRange(params: Pick<SeriesParams, 'from' | 'to' | 'window' | 'step'>, now: number): Plan {
  const wrong = (parameter: string, message: string) =>
    new Problem(400, 'PARAMETER_INVALID', 'Invalid parameter', `${parameter} ${message}`, { errors: [{ parameter, message }] });
  if (params.from !== undefined && params.window !== undefined) throw wrong('window', 'cannot be combined with from');
  const end = params.to ?? now;
  const length = params.from === undefined ? (params.window ?? HOUR) : end - params.from;
  if (length <= 0) throw wrong('from', 'must be before to');
  if (length > MAX_RANGE_MS) throw wrong('from', 'must be at most five years before to');
  const step = params.step ?? stepFor(length);
  const stepMs = STEPS[step];
  const to = Math.ceil(end / stepMs) * stepMs;
  const from = params.from === undefined ? to - Math.ceil(length / stepMs) * stepMs : Math.floor(params.from / stepMs) * stepMs;
  if ((to - from) / stepMs > MAX_POINTS)
    throw wrong('step', `makes more than ${MAX_POINTS} points: choose a longer step or a shorter range`);
  return { from, to, step, stepMs, relation: stepMs >= DAY ? 'metrics_1d' : stepMs >= HOUR ? 'metrics_1h' : 'metrics_1m' };
}

/** Where a page of calls ended: the sort key of its last row. */
export type Position = [started_at: number, provider: string, app_id: string, call_id: string];

export const encodeCursor = (position: Position): string => Buffer.from(JSON.stringify(position)).toString('base64url');

/** @throws Problem PARAMETER_INVALID */
export function decodeCursor(cursor: string): Position {
  const shape = z.tuple([z.number().int(), z.string(), z.string(), z.string()]);
  try {
    return shape.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')));
  } catch {
    const message = 'is not a cursor of this endpoint';
    throw new Problem(400, 'PARAMETER_INVALID', 'Invalid parameter', `cursor ${message}`, { errors: [{ parameter: 'cursor', message }] });
  }
}
