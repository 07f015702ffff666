import type { InputRecord } from '../../stream/types.js';

/** Where a delivery stood first. */
export type Origin = Pick<InputRecord, 'topic' | 'partition' | 'offset'>;

const NAME = 'callstream_origin';

/** Header of a delivery that goes round by the late topic: it is accounted for where ingest or the poller put it (contract §7.2). */
export function originHeaders(record: InputRecord): Record<string, string> {
  const { topic, partition, offset } = originOf(record);
  return { [NAME]: `${topic}:${partition}:${offset}` };
}

/** Where the delivery of this record stood first: here, unless it went round. */
export function originOf(record: InputRecord): Origin {
  const parts = record.headers?.[NAME]?.match(/^([^:]+):(\d+):(\d+)$/);
  return parts ? { topic: parts[1]!, partition: Number(parts[2]), offset: Number(parts[3]) } : record;
}
