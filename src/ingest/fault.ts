/** What ingest does to the disk, to Kafka and to the vendor, before and after. The spool's fsync comes after its write, and its first write after the new segment. */
export const INGEST_FAULT_POINTS = [
  'kafka:before-send',
  'kafka:after-ack',
  'answer:before-send',
  'answer:after-send',
  'spool:before-create',
  'spool:after-create',
  'spool:before-write',
  'spool:before-fsync',
  'spool:after-fsync',
  'drain:before-send',
  'drain:after-ack',
  'spool:before-delete',
  'spool:after-delete',
] as const;
export type FaultPoint = (typeof INGEST_FAULT_POINTS)[number];

/** Called at every named point; an error it throws is one of the step at hand. */
export type Fault = (point: FaultPoint) => void | Promise<void>;
