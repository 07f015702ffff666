/** What the poller does to the vendors and to Kafka, before and after: a question, raw records, a task put off, a cursor, offsets of tasks that are done. */
export const POLL_FAULT_POINTS = [
  'poll:before-request',
  'poll:after-answer',
  'poll:before-raw-send',
  'poll:after-raw-send',
  'poll:before-task-send',
  'poll:after-task-send',
  'poll:before-cursor-write',
  'poll:after-cursor-write',
  'poll:before-offset-commit',
  'poll:after-offset-commit',
] as const;
export type PollFaultPoint = (typeof POLL_FAULT_POINTS)[number];

/** Called at every named point; tests make it throw, wait, or end the process. */
export type PollFault = (point: PollFaultPoint) => void | Promise<void>;
