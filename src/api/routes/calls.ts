import { z } from 'zod';
import { CALLS } from '../../clickhouse/relations.js';
import { type CallFilter, callFilter, countCalls, POSITION, readCalls, walkCalls } from '../calls.js';
import { csvHead, csvLine } from '../csv.js';
import { DEFINITIONS } from '../definitions.js';
import { decodeCursor, oneOf, paging } from '../params.js';
import { listPeriod } from '../plan.js';
import { asOf, CALL, count, nextCursor } from '../records.js';
import { type Context, Download, downloadRoute, route } from '../route.js';

const list = route({
  path: '/api/v1/calls',
  operation: 'listCalls',
  summary: 'Calls, newest start first.',
  description: 'Filters combine: a call must match each of them. Channel sessions that were folded into another one are left out.',
  params: z.strictObject({ ...callFilter, ...paging }),
  answer: z.strictObject({ as_of: asOf, calls: z.array(CALL), next_cursor: nextCursor }),
  async read({ query, now }, { cursor, ...params }) {
    return { as_of: now, ...(await readCalls(query, listPeriod(params, now), decodeCursor(POSITION, cursor), now)) };
  },
});

const counted = route({
  path: '/api/v1/calls/count',
  operation: 'countCalls',
  summary: 'How many calls there are.',
  description: `Takes the filters of \`listCalls\`. ${DEFINITIONS.calls_found.definition}`,
  params: z.strictObject(callFilter),
  answer: z.strictObject({ as_of: asOf, count }),
  async read({ query, now }, params) {
    return { as_of: now, count: await countCalls(query, listPeriod(params, now)) };
  },
});

const CSV = 'text/csv';
const NDJSON = 'application/x-ndjson';

async function* linesOf({ query, now }: Context, filter: CallFilter, format: 'csv' | 'ndjson'): AsyncGenerator<string> {
  if (format === 'csv') yield csvHead(CALLS);
  for await (const calls of walkCalls(query, filter, now))
    yield calls.map((call) => (format === 'csv' ? csvLine(CALLS, call) : `${JSON.stringify(call)}\n`)).join('');
}

const exported = downloadRoute({
  path: '/api/v1/calls/export',
  operation: 'exportCalls',
  summary: 'All calls of a filter as CSV or NDJSON, newest start first.',
  description:
    'Takes the filters of `listCalls`. The header `x-total-count` says before the first line how many calls there are; a HEAD request asks for it alone. ' +
    'CSV is RFC 4180 with a head line: times are ISO 8601 in UTC, lists are JSON, and text that begins like a formula (`=`, `+`, `-`, `@`) has an apostrophe before it. ' +
    'NDJSON has one call per line as `listCalls` shows it. Where an export breaks off, the connection does too: a complete one ends properly. ' +
    'Calls that change meanwhile are shown as they were when their part was read.',
  params: z.strictObject({ ...callFilter, format: oneOf(['csv', 'ndjson']).describe('`csv` or `ndjson`.') }),
  answers: { [CSV]: z.string(), [NDJSON]: z.string().describe('One `Call` as JSON per line.') },
  async open(context, { format, ...params }) {
    const filter = listPeriod(params, context.now);
    const total = await countCalls(context.query, filter);
    const headers = { 'x-total-count': String(total), 'content-disposition': `attachment; filename="calls.${format}"` };
    return new Download(format === 'csv' ? `${CSV}; charset=utf-8; header=present` : NDJSON, headers, linesOf(context, filter, format));
  },
});

export const LISTS_OF_CALLS = [list, counted, exported];
