import { DOMAIN } from './list/domain.mjs';
import { INGEST } from './list/ingest.mjs';
import { POLL } from './list/poll.mjs';
import { REBUILD } from './list/rebuild.mjs';
import { SECRETS } from './list/secrets.mjs';
import { SESSIONS } from './list/sessions.mjs';
import { SINK } from './list/sink.mjs';
import { TAKEOVER } from './list/takeover.mjs';
import { TRANSACTIONS } from './list/transactions.mjs';

/** In the order of the road. */
export const MUTATIONS = [...INGEST, ...SECRETS, ...TAKEOVER, ...TRANSACTIONS, ...DOMAIN, ...SESSIONS, ...SINK, ...REBUILD, ...POLL];
