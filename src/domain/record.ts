import { compareBytes } from './order.js';
import type { RecordInput } from './types.js';

/**
 * The record that speaks for the call, or null. A REST record wins over a status callback; within a kind the newest by received_at wins as a
 * whole (ties: larger end_at, then larger bytes). The losers say nothing at all.
 */
export function winningRecord(records: readonly RecordInput[]): RecordInput | null {
  let winner: RecordInput | null = null;
  for (const record of records) if (winner === null || wins(record, winner)) winner = record;
  return winner;
}

function wins(a: RecordInput, b: RecordInput): boolean {
  if (a.origin !== b.origin) return a.origin === 'record';
  if (a.received_at !== b.received_at) return a.received_at > b.received_at;
  const aEnd = a.fields.end_at ?? -1;
  const bEnd = b.fields.end_at ?? -1;
  return aEnd === bEnd ? compareBytes(a.text, b.text) > 0 : aEnd > bEnd;
}

const RESULTS = new Map(
  ['normal_end', 'interrupt', 'offline', 'not_answer', 'reject', 'call_busy', 'cancel'].map((result) => [
    result.replaceAll('_', ''),
    result,
  ]),
);

/**
 * The canonical spelling of a CallResult: results compare lower-cased and without `_`, so `NormalEnd` is `normal_end`.
 * An unknown word comes back lower-cased; '' stays ''.
 */
export function canonicalResult(text: string): string {
  const lower = text.toLowerCase();
  return RESULTS.get(lower.replaceAll('_', '')) ?? lower;
}
