/** Where a test may stop, fail or kill an ingest process. */
export type FaultPoint =
  | 'spool:before-write'
  | 'spool:before-fsync'
  | 'spool:after-fsync'
  | 'spool:before-delete'
  | 'kafka:before-send'
  | 'kafka:after-ack'
  | 'drain:before-send'
  | 'drain:after-ack';

/** Called at every named point; an error it throws is one of the step at hand. */
export type Fault = (point: FaultPoint) => void | Promise<void>;
