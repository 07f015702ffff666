import { z } from 'zod';
import { invalidParameter, invalidParameters } from './problem.js';
import { Zone } from './zone.js';

/*
 * What the parameters of the routes are made of. Every parameter arrives as text; its description goes into the OpenAPI document.
 */

/** In the order in which pages and charts show them. */
export const OUTCOMES = ['answered', 'no_answer', 'cancelled', 'rejected', 'busy', 'failed', 'unknown'] as const;
export type OutcomeName = (typeof OUTCOMES)[number];

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
const UNIT_MS = { m: MINUTE, h: HOUR, d: DAY } as const;
export const MAX_RANGE_MS = 5 * 366 * DAY;
/** 2000-01-01..2100-01-01, as for every time of a call. */
export const EARLIEST = 946_684_800_000;
export const LATEST = 4_102_444_800_000;

const ISO = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/;

/** Text that `read` understands; undefined from it means that it does not. */
const readAs = <T>(read: (text: string) => T | undefined, message: string) =>
  z.string().transform((text, context): T => {
    const value = read(text);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });

/** Epoch milliseconds, or ISO 8601 with a zone (a date alone is its start in UTC). Becomes epoch milliseconds. */
export const instant = readAs((text) => {
  const at = /^\d{1,15}$/.test(text) ? Number(text) : ISO.test(text) ? Date.parse(text) : Number.NaN;
  return at >= EARLIEST && at < LATEST ? at : undefined;
}, 'must be epoch milliseconds or ISO 8601 with a zone (2026-01-31T09:00:00Z), between 2000 and 2100');

export const duration = readAs((text) => {
  const match = /^([1-9]\d{0,5})([mhd])$/.exec(text);
  const ms = match ? Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS] : Number.NaN;
  return ms <= MAX_RANGE_MS ? ms : undefined;
}, 'must be a number with m, h or d (15m, 6h, 30d), at most five years');

export const id = z.string().min(1, { error: 'must not be empty' }).max(4096, { error: 'must not be longer than 4096 characters' });

export const oneOf = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, { error: `must be one of ${values.join(', ')}` });

export const commaList = <const T extends readonly [string, ...string[]]>(values: T) =>
  readAs(
    (text): T[number][] | undefined => {
      const items = [...new Set(text.split(','))];
      return items.every((item) => values.includes(item)) ? items : undefined;
    },
    `must be a comma-separated list of ${values.join(', ')}`,
  );

export const flag = oneOf(['true', 'false']).transform((text) => text === 'true');

const MAX_ROWS = 500;
export const paging = {
  limit: readAs((text) => {
    const n = /^\d{1,4}$/.test(text) ? Number(text) : 0;
    return n >= 1 && n <= MAX_ROWS ? n : undefined;
  }, `must be a number from 1 to ${MAX_ROWS}`)
    .default(50)
    .describe(`Rows of a page, 1 to ${MAX_ROWS}; 50 when absent.`),
  cursor: z
    .string()
    .max(8192, { error: 'is not a cursor of this endpoint' })
    .optional()
    .describe('`next_cursor` of the page before. Rows that are added meanwhile neither repeat nor hide others.'),
};

export const times = {
  from: instant.optional().describe('Start of the period: epoch milliseconds, or ISO 8601 with a zone. A date alone is its start in UTC.'),
  to: instant.optional().describe('End of the period, which it does not belong to, written as `from`. Now when absent.'),
};
/** Of lists, which have no period of their own. */
export const listTimes = {
  ...times,
  window: duration
    .optional()
    .describe(
      'Length of the period instead of `from`, such as 15m, 6h or 30d, with the start that `readSummary` gives it. Any time when both are absent.',
    ),
};
export const range = {
  ...times,
  window: duration.optional().describe('Length of the period instead of `from`, such as 15m, 6h or 30d. One hour when both are absent.'),
};

export const zoned = {
  tz: readAs((text) => {
    try {
      // Names only: the offsets that newer engines take would not know summer time.
      return /^[A-Za-z]/.test(text) ? new Zone(text) : undefined;
    } catch {
      return undefined;
    }
  }, 'must be a name of the time zone database, such as Europe/Berlin')
    .optional()
    .describe('Time zone of days, weekdays and hours: a name of the IANA time zone database. UTC when absent.'),
};

export const app = { app: id.optional().describe('App id: calls of this app only.') };
export const scope = {
  ...app,
  type: oneOf(['single', 'group', 'channel']).optional().describe('Calls of this type only.'),
  media: oneOf(['audio', 'video']).optional().describe('Calls of this medium only.'),
};
export type Scope = z.output<z.ZodObject<typeof scope>>;

export const noParams = z.strictObject({});

/** A parameter that is given twice arrives as an array, which no schema here accepts. */
const givenTwice = (issue: z.core.$ZodRawIssue): string | undefined => (issue.code === 'invalid_type' ? 'must be given once' : undefined);

/** For the fields of a body. */
const notText = (issue: z.core.$ZodRawIssue): string | undefined => {
  if (issue.code !== 'invalid_type') return undefined;
  if (issue.path?.length === 0) return 'The body must be a JSON object';
  return issue.input === undefined ? 'is required' : 'must be text';
};

/** @throws Problem PARAMETER_INVALID naming every wrong or unknown field of a body */
export const parseBody = <T extends z.ZodType>(schema: T, input: unknown): z.infer<T> => parse(schema, input, notText);

/** @throws Problem PARAMETER_INVALID naming every wrong or unknown parameter */
export function parse<T extends z.ZodType>(schema: T, input: unknown, error: z.core.$ZodErrorMap = givenTwice): z.infer<T> {
  const result = schema.safeParse(input, { error });
  if (!result.success) throw invalidParameters(result.error);
  return result.data;
}

/** Where a page ended: the sort key of its last row. Opaque to clients. */
export const encodeCursor = (position: readonly (string | number)[]): string => Buffer.from(JSON.stringify(position)).toString('base64url');

/**
 * @param shape of the endpoint's position
 * @throws Problem PARAMETER_INVALID
 */
export function decodeCursor<T extends z.ZodType>(shape: T, cursor: string | undefined): z.output<T> | null {
  if (cursor === undefined) return null;
  try {
    return shape.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')));
  } catch {
    throw invalidParameter('cursor', 'is not a cursor of this endpoint');
  }
}
