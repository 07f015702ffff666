import type { StoreFaultPoint } from '../../clickhouse/index.js';

/** The steps of a flush, before and after. What happens to single tables, and the rolling, has points of the store's. */
export const SINK_FAULT_POINTS = [
  'sink:before-rows-insert',
  'sink:after-rows-insert',
  'sink:before-touched-insert',
  'sink:after-touched-insert',
  'sink:before-dead-letters-send',
  'sink:after-dead-letters-send',
  'sink:before-offset-commit',
  'sink:after-offset-commit',
] as const;
export type SinkFaultPoint = (typeof SINK_FAULT_POINTS)[number];

/** Called at every named point; tests make it throw, wait, or end the process. */
export type SinkFault = (point: SinkFaultPoint | StoreFaultPoint) => void | Promise<void>;
