import type { TopicCodec } from '../../codec/codec.js';
import type { RawEvent } from '../../codec/generated.js';
import { userEvent } from '../../sources/user-event.js';
import type { OutputRecord } from '../../stream/types.js';
import type { DeadLetterRow } from './read.js';

/** What a replay needs of Kafka. */
export interface ReplayDeps {
  /** The original record; null when retention has taken it. */
  original(topic: string, partition: number, offset: number): Promise<{ key: Buffer | null; value: Buffer | null } | null>;
  /** Resolves when the record is on all in-sync replicas. */
  send(record: OutputRecord): Promise<void>;
  codec: Pick<TopicCodec<RawEvent>, 'encode'>;
  /** An id for a delivery that has to be wrapped anew. */
  newId(): string;
}

export interface ReplayReport {
  /** Deliveries sent. */
  sent: number;
  /** Sent from the dead letter, because the raw topic no longer holds the delivery: its query string is gone. */
  rewrapped: number;
  /** Dead letters that no raw record can mend. */
  skipped: DeadLetterRow[];
  /** Not sent: the raw topic no longer holds the delivery, and without its query nobody knows what it is about. */
  lost: DeadLetterRow[];
}

/** Sources whose deliveries tell in the query alone what they are about. */
const NEED_QUERY: ReadonlySet<string> = new Set([userEvent.name]);

const isRaw = (topic: string): boolean => topic.startsWith('callstream.raw.');

/**
 * Sends what died through again: the very record, to the partition it came from. Elements of one delivery go together, once.
 * What was understood of it before is a duplicate then, and changes nothing.
 */
export async function replay(
  letters: readonly DeadLetterRow[],
  deps: ReplayDeps,
  onSent: (sent: number) => void,
  signal?: AbortSignal,
): Promise<ReplayReport> {
  const report: ReplayReport = { sent: 0, rewrapped: 0, skipped: letters.filter((l) => !isRaw(l.topic)), lost: [] };
  const deliveries = new Map(letters.filter((l) => isRaw(l.topic)).map((l) => [`${l.topic}:${l.partition}:${l.offset}`, l]));
  for (const letter of deliveries.values()) {
    if (signal?.aborted) break;
    const { topic, partition } = letter;
    const original = await deps.original(topic, partition, letter.offset);
    if (original === null && letter.stage !== 'decode' && NEED_QUERY.has(letter.source)) {
      report.lost.push(letter);
      continue;
    }
    if (original === null) report.rewrapped += 1;
    await deps.send({
      topic,
      partition,
      key: original?.key ?? letter.key,
      value: original?.value ?? rewrap(letter, deps),
    });
    report.sent += 1;
    onSent(report.sent);
  }
  return report;
}

/** At stage `decode` the letter holds the whole value, later only the body. */
function rewrap(letter: DeadLetterRow, deps: ReplayDeps): Buffer {
  if (letter.stage === 'decode') return letter.body;
  return deps.codec.encode({
    id: deps.newId(),
    source: letter.source,
    app_id: letter.app_id,
    received_at: letter.received_at,
    auth: 'app',
    remote_addr: '',
    query: '',
    body: letter.body,
  });
}
