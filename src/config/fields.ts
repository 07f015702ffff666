/** Building blocks of the schema. All take text (see source.ts) and give typed values. */
import ipaddr from 'ipaddr.js';
import { z } from 'zod';
import { formatDuration, parseDuration } from './duration.js';
import { closest } from './problem.js';

/** An address range: every address whose first `bits` bits are those of `address`. */
export interface Cidr {
  /** As written. */
  text: string;
  address: ipaddr.IPv4 | ipaddr.IPv6;
  bits: number;
}

/** Names of fields whose values are never shown. */
export const SECRET_FIELDS: readonly string[] = [
  'callbackSecret',
  'tiwCallbackKey',
  'secretKey',
  'secretId',
  'accessKeyId',
  'accessKeySecret',
  'password',
  'key',
  'tokenHash',
  'secret',
];

// No check here may be `abort: true`: zod then leaves out the rules between fields, and not every problem would be reported at once.

/** A mapping without unknown keys; a wrong one is answered with the name that was probably meant. */
export function section<S extends z.core.$ZodLooseShape>(shape: S) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code === 'unrecognized_keys') {
        return issue.keys
          .map((key) => {
            const meant = closest(key, known);
            return `unknown key \`${key}\`${meant === undefined ? `, known are ${known.join(', ')}` : `, did you mean \`${meant}\`?`}`;
          })
          .join('; ');
      }
      return issue.code === 'invalid_type' ? 'must be a mapping (key: value)' : undefined;
    },
  });
}

export const list = <T extends z.ZodType>(item: T) => z.array(item, { error: 'must be a list' });

const required = 'is required';
const textOf = (what: string) => z.string({ error: (issue) => (issue.input === undefined ? required : `must be ${what}`) });

export const text = (what = 'text') => textOf(what).min(1, { error: 'must not be empty' });

export const choice = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, { error: (issue) => (issue.input === undefined ? required : `must be one of ${values.join(', ')}`) });

export const bool = z
  .enum(['true', 'false'], { error: (issue) => (issue.input === undefined ? required : 'must be true or false') })
  .transform((value) => value === 'true');

export const integer = (min: number, max: number) =>
  textOf('a whole number')
    .regex(/^\d{1,15}$/, { error: `must be a whole number from ${min} to ${max}` })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error: `must be from ${min} to ${max}` });

/** A share of a whole, from 0 to 1. */
export const share = textOf('a number from 0 to 1')
  .regex(/^(?:0|1|[01]?\.\d{1,9}|1\.0{1,9})$/, { error: 'must be a number from 0 to 1' })
  .transform(Number)
  .refine((value) => value <= 1, { error: 'must be a number from 0 to 1' });

/** 0 asks the system for a free one. */
export const port = integer(0, 65_535);

/** Milliseconds. Bounds are written as durations. */
export function duration(min: string, max: string) {
  const [low, high] = [parseDuration(min) ?? 0, parseDuration(max) ?? 0];
  return textOf('a duration')
    .refine((value) => parseDuration(value) !== null, { error: 'must be a duration such as 30s, 15m, 12h or 400d' })
    .transform((value) => parseDuration(value) ?? 0)
    .refine((ms) => ms >= low && ms <= high, { error: `must be from ${formatDuration(low)} to ${formatDuration(high)}` });
}

/** `10.0.0.0/8`, `2001:db8::/32`; a single address means itself alone. */
export const cidr = text('an address range such as 203.0.113.0/24').transform((value, context): Cidr => {
  try {
    const [address, bits] = value.includes('/')
      ? ipaddr.parseCIDR(value)
      : [ipaddr.parse(value), ipaddr.IPv4.isValidFourPartDecimal(value) ? 32 : 128];
    // `10.1` would otherwise mean 10.0.0.1.
    if (address.kind() === 'ipv4' && !ipaddr.IPv4.isValidFourPartDecimal(value.split('/')[0] ?? '')) throw new Error('short form');
    return { text: value, address, bits: Number(bits) };
  } catch {
    context.addIssue({ code: 'custom', message: 'must be an address or address range such as 203.0.113.0/24' });
    return z.NEVER;
  }
});

/** True when the host name can only mean this machine. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase();
  if (bare === 'localhost' || bare.endsWith('.localhost')) return true;
  return ipaddr.isValid(bare) && ipaddr.process(bare).range() === 'loopback';
}

const parseUrl = (value: string): URL | null => (URL.canParse(value) ? new URL(value) : null);
const isHttp = (value: string): boolean => /^https?:$/.test(parseUrl(value)?.protocol ?? '');

/** An HTTP(S) base URL without credentials, query or trailing slash. */
export const httpUrl = text('a URL')
  .refine(isHttp, { error: 'must be a URL that starts with https:// or http://' })
  .refine((value) => !isHttp(value) || !/@/.test(new URL(value).href.split('/')[2] ?? ''), {
    error: 'must not hold a user or password: use the fields username and password',
  })
  .refine((value) => !isHttp(value) || !/[?#]/.test(value), { error: 'must not have a query or fragment' })
  .transform((value) => value.replace(/\/+$/, ''));

/** Base URL of a vendor API: signed requests go there, so plain HTTP stays on this machine. */
export const endpoint = httpUrl.refine((value) => /^https:/i.test(value) || isLoopback(parseUrl(value)?.hostname ?? ''), {
  error: 'must be https:// (http:// is for loopback addresses only)',
});

export const host = text('a host name or address').regex(/^[A-Za-z0-9._:[\]-]+$/, { error: 'must be a host name or an address' });

export const brokers = list(text('host:port').regex(/^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}$/, { error: 'must be host:port' })).min(
  1,
  { error: 'must name at least one broker' },
);
