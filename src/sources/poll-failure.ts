/** Failures of polled APIs, said in one way: a stable code, what is wrong, what to do, and no secret. */
import type { PollFailure, PollFailureKind, ResponseHeaders } from './polled.js';

/** How to treat a vendor's error code, and what to tell people. */
export type ErrorRule = readonly [kind: PollFailureKind, hint: string];

export function failure(kind: PollFailureKind, code: string, message: string, retryAfterMs: number | null = null): PollFailure {
  return retryAfterMs === null ? { kind, code, message } : { kind, code, message, retryAfterMs };
}

/** A response that is not what the API promises. Nothing of it is quoted: it may be anybody's page. */
export const malformed = (operation: string, what: string): PollFailure => failure('retry', 'malformed', `${operation}: ${what}`);

/** A failure that the HTTP status alone tells; null for 200. */
export function httpFailure(operation: string, status: number, headers: ResponseHeaders): PollFailure | null {
  if (status === 200) return null;
  const kind = status === 429 ? 'slow_down' : 'retry';
  return failure(kind, `http_${status}`, `${operation}: the vendor answered with HTTP status ${status}`, retryAfterOf(headers));
}

/** An error that the vendor names. Its own words are quoted, short and without anything that could be a credential. */
export function vendorFailure(
  operation: string,
  rule: ErrorRule,
  error: { code: string; message: string; requestId: string },
  retryAfterMs: number | null = null,
): PollFailure {
  const [kind, hint] = rule;
  const code = CODE.test(error.code) ? error.code : 'unknown';
  const words = quotable(error.message);
  const parts = [
    hint,
    words === '' ? '' : `the vendor says: ${words}`,
    REQUEST_ID.test(error.requestId) ? `request ${error.requestId}` : '',
  ];
  return failure(kind, code, `${operation}: error ${code}: ${parts.filter((part) => part !== '').join('; ')}`, retryAfterMs);
}

const CODE = /^[A-Za-z0-9._-]{1,100}$/;
const REQUEST_ID = /^[A-Za-z0-9-]{1,64}$/;
/** Keys, signatures and UserSigs are longer than any word. */
const CREDENTIAL = /[A-Za-z0-9+/=_*%-]{24,}/g;
const MAX_QUOTE = 200;

const quotable = (text: string): string =>
  text
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(CREDENTIAL, '…')
    .trim()
    .slice(0, MAX_QUOTE)
    .toWellFormed();

/** Longest wait that is believed. */
const MAX_WAIT_MS = 3_600_000;

/** What Retry-After asks for: seconds, or a date, which is taken against the response's own Date. In milliseconds; null when absent or unusable. */
export function retryAfterOf(headers: ResponseHeaders): number | null {
  const value = headerOf(headers, 'retry-after').trim();
  if (/^[0-9]+$/.test(value)) return believed(Number(value) * 1000);
  const wait = Date.parse(value) - Date.parse(headerOf(headers, 'date'));
  return Number.isFinite(wait) ? believed(wait) : null;
}

/** A wait in milliseconds within reason. */
export const believed = (ms: number): number => Math.min(Math.max(ms, 0), MAX_WAIT_MS);

export function headerOf(headers: ResponseHeaders, name: string): string {
  const value = headers[name];
  return (Array.isArray(value) ? value[0] : value) ?? '';
}
