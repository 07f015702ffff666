import fc from 'fast-check';
import type { ResponseHeaders } from '../../src/sources/polled.js';

/*
 * Responses as nobody would wish for: any bytes, or JSON built of the very names that a vendor uses with values of any kind, with any status and headers.
 */

export interface HostileResponse {
  status: number;
  headers: ResponseHeaders;
  body: Buffer;
}

export function hostileResponses(names: readonly string[], words: readonly unknown[]): fc.Arbitrary<HostileResponse> {
  const json = fc.letrec<{ value: unknown; list: unknown; object: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 5, withCrossShrink: true },
      { weight: 3, arbitrary: fc.constantFrom(...words) },
      {
        weight: 1,
        arbitrary: fc.constantFrom<unknown>(null, true, false, 0, -1, 1e300, 1.5, '', '{', '[]', '{}', '"', '\ud800', '__proto__'),
      },
      { weight: 3, arbitrary: tie('object') },
      { weight: 2, arbitrary: tie('list') },
    ),
    list: fc.array(tie('value'), { maxLength: 3 }),
    object: fc
      .array(fc.tuple(fc.constantFrom(...names, '__proto__', 'x'), tie('value')), { maxLength: 6 })
      .map((fields) => Object.fromEntries(fields)),
  }));
  const body = fc.oneof(
    { weight: 6, arbitrary: json.object.map((value) => Buffer.from(JSON.stringify(value))) },
    { weight: 1, arbitrary: json.value.map((value) => Buffer.from(JSON.stringify(value))) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)) },
    { weight: 1, arbitrary: json.object.map((value) => Buffer.from(`\ufeff${JSON.stringify(value).slice(0, -1)}`)) },
    { weight: 1, arbitrary: fc.constant(Buffer.from(`${'{"data":['.repeat(5000)}`)) },
  );
  const wait = fc.constantFrom('1', '-1', 'soon', '99999999999999999999', 'Thu, 26 Nov 2026 07:00:00 GMT', '', ['2', '3']);
  return fc.record({
    status: fc.oneof({ weight: 5, arbitrary: fc.constant(200) }, fc.constantFrom(0, 204, 302, 400, 403, 404, 429, 500, 502, 503)),
    headers: fc.record(
      { 'retry-after': wait, 'x-acs-retry-after': wait, date: wait },
      { requiredKeys: [] },
    ) as fc.Arbitrary<ResponseHeaders>,
    body,
  });
}
