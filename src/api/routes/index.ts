import { z } from 'zod';
import { id, instant } from '../params.js';
import type { Operation, Route } from '../route.js';
import { ALERT_RULES } from './alert-rules.js';
import { ALERTS } from './alerts.js';
import { ONE_CALL } from './call.js';
import { LISTS_OF_CALLS } from './calls.js';
import { CONCURRENCY } from './concurrency.js';
import { DEAD_LETTERS } from './dead-letters.js';
import { HEALTH } from './health.js';
import { META } from './meta.js';
import { MISSED } from './missed.js';
import { OVERVIEW } from './overview.js';
import { PIPELINE } from './pipeline.js';
import { RECORDINGS } from './recordings.js';
import { USERS } from './users.js';

/** Everything that is asked and answered once. */
export const ROUTES: readonly Route[] = [
  ...OVERVIEW,
  ...CONCURRENCY,
  ...MISSED,
  ...LISTS_OF_CALLS,
  ...ONE_CALL,
  ...USERS,
  ...RECORDINGS,
  ...HEALTH,
  ...DEAD_LETTERS,
  ...PIPELINE,
  ...ALERTS,
  ...ALERT_RULES,
  ...META,
];

/** The live tail: answered by `live.ts`, for as long as the client listens. */
export const LIVE = {
  path: '/api/v1/live',
  method: 'GET',
  operation: 'followCalls',
  summary: 'Calls as they change, as server-sent events.',
  description:
    'Event `calls` has `{calls: Call[], truncated: boolean}`, possibly a call again: keep the highest revision; `truncated` says that there were more changes than these: read your list anew. Event `heartbeat` has `{now, ok}`, `ok` false while the ' +
    'database does not answer. The id of an event, sent as `Last-Event-ID`, resumes at any server.',
  params: z.strictObject({
    app: id.optional().describe('App id: calls of this app only.'),
    since: instant.optional().describe('Changes from then on come first: epoch milliseconds, or ISO 8601 with a zone.'),
  }),
  answers: { 'text/event-stream': z.string() },
} satisfies Operation;
