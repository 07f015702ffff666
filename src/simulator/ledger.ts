import { createHash } from 'node:crypto';
import type { Delivery, WebhookName } from './wire.js';

/** What the vendor knows about one distinct request: how often it was tried, and how often it was answered 200. */
export interface LedgerEntry {
  attempts: number;
  acknowledged: number;
  expect: 200 | 403;
  /** The start of query and body, for messages. */
  excerpt: string;
}

/** An answer that the contract does not allow for the request. */
export interface UnexpectedAnswer {
  excerpt: string;
  expected: number;
  status: number;
}

/**
 * Identity of a request by what the truth depends on: webhook, app, platform and the exact bytes. The rest of the query says nothing, so a proxy may rewrite it.
 */
export function requestId(source: WebhookName, app_id: string, query: string, body: Uint8Array): string {
  const platform = [...new URLSearchParams(query)].find(([name]) => name.toLowerCase() === 'optplatform')?.[1] ?? '';
  return createHash('sha1')
    .update(JSON.stringify([source, app_id, platform]))
    .update(body)
    .digest()
    .toString('base64', 0, 15);
}

/** A copy in one piece: V8 keeps what was put together as its parts, which for millions of texts is twice the memory. */
const flat = (text: string): string => Buffer.from(text).toString();

/** Every request of a run, so that what the project holds can be compared with what was really sent and acknowledged. */
export class Ledger {
  readonly entries = new Map<string, LedgerEntry>();
  readonly unexpected: UnexpectedAnswer[] = [];

  attempted(delivery: Delivery): LedgerEntry {
    const id = requestId(delivery.source, delivery.app_id, delivery.query, delivery.body);
    let entry = this.entries.get(id);
    if (entry === undefined) {
      const excerpt = flat(`${delivery.source}?${delivery.query.slice(0, 60)} ${delivery.body.toString('utf8', 0, 200)}`);
      entry = { attempts: 0, acknowledged: 0, expect: delivery.expect, excerpt };
      this.entries.set(id, entry);
    }
    entry.attempts++;
    return entry;
  }
}
