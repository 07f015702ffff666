import type { Ledger } from '../ledger.js';
import type { Differences } from './differences.js';

/** Acknowledged is stored, and stored was sent. Returns the number of distinct requests. */
export function compareRequests(ledger: Ledger, raw: ReadonlyMap<string, ReadonlySet<string>>, differences: Differences): number {
  for (const [id, entry] of ledger.entries) {
    const stored = raw.get(id)?.size ?? 0;
    if (stored < entry.acknowledged)
      differences.add('lost request', `answered 200 ${entry.acknowledged} times, stored ${stored} times: ${entry.excerpt}`);
    if (stored > entry.attempts)
      differences.add('invented request', `sent ${entry.attempts} times, stored ${stored} times: ${entry.excerpt}`);
    if (entry.expect === 403 && stored > 0) differences.add('invented request', `refused, yet stored: ${entry.excerpt}`);
  }
  for (const answer of ledger.unexpected) differences.add('answer', `${answer.status} where ${answer.expected} was due: ${answer.excerpt}`);
  return ledger.entries.size;
}
