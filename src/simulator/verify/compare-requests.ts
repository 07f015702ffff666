import type { Ledger } from '../ledger.js';
import type { Differences } from './differences.js';

/** Acknowledged is stored, and stored was sent. Returns the number of distinct requests. */
export function compareRequests(ledger: Ledger, storedRequests: ReadonlyMap<string, number>, differences: Differences): number {
  for (const [id, entry] of ledger.entries) {
    const times = storedRequests.get(id) ?? 0;
    if (times < entry.acknowledged)
      differences.add('lost request', `answered 200 ${entry.acknowledged} times, stored ${times} times: ${entry.excerpt}`);
    if (times > entry.attempts)
      differences.add('invented request', `sent ${entry.attempts} times, stored ${times} times: ${entry.excerpt}`);
    if (entry.expect === 403 && times > 0) differences.add('invented request', `refused, yet stored: ${entry.excerpt}`);
  }
  for (const answer of ledger.unexpected) differences.add('answer', `${answer.status} where ${answer.expected} was due: ${answer.excerpt}`);
  return ledger.entries.size;
}
