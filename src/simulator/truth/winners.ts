import type { Input } from './call.js';
import type { MediaReading, RecordReading, StatusReading } from './reading.js';

/** What the record that speaks for its call says, whoever sent it. */
export interface Spoken {
  source: 'record' | 'status';
  caller: string;
  users: string[];
  room_id: string;
  media_type: string;
  call_type: string;
  call_result: string;
  event_at: number | null;
  start_at: number | null;
  accept_at: number | null;
  end_at: number | null;
  total: number;
}

/**
 * A REST record wins over a status callback; within a kind the newest by received_at wins as a whole (ties: larger EndTs, then larger bytes); equal bodies
 * are one, with the smallest received_at.
 */
export function winningRecord(inputs: readonly Input[]): Spoken | null {
  const records = newestFirst(inputs, 'record')[0];
  if (records !== undefined) return { source: 'record', ...(records.reading as RecordReading) };
  const status = newestFirst(inputs, 'status')[0];
  if (status === undefined) return null;
  const reading = status.reading as StatusReading;
  const caller = reading.role === 'caller' ? reading.user_id : '';
  return { source: 'status', ...reading, caller, users: [reading.user_id, ...(reading.users ?? [])] };
}

/** The newest poll of each user that is not empty wins as a whole (ties: larger bytes). */
export function winningPolls(inputs: readonly Input[]): Map<string, MediaReading> {
  const winners = new Map<string, MediaReading>();
  for (const { reading } of newestFirst(inputs, 'media')) {
    if (reading.kind === 'media' && reading.events.length > 0 && !winners.has(reading.user_id)) winners.set(reading.user_id, reading);
  }
  return winners;
}

function newestFirst(inputs: readonly Input[], kind: 'record' | 'status' | 'media'): Input[] {
  const bodies = new Map<string, Input>();
  for (const input of inputs) {
    if (input.reading.kind !== kind) continue;
    const user = input.reading.kind === 'media' ? input.reading.user_id : '';
    const key = JSON.stringify([user, input.body.toString('latin1')]);
    const other = bodies.get(key);
    if (other === undefined || input.received_at < other.received_at) bodies.set(key, input);
  }
  return [...bodies.values()].sort((a, b) => b.received_at - a.received_at || endOf(b) - endOf(a) || Buffer.compare(b.body, a.body));
}

const endOf = ({ reading }: Input): number => (reading.kind === 'media' ? 0 : (reading.end_at ?? Number.NEGATIVE_INFINITY));
