/** What is done to the tables, before and after: one table's rows; the minutes of a long call's history; rolled minutes. */
export const STORE_FAULT_POINTS = [
  'store:before-table-insert',
  'store:after-table-insert',
  'store:before-history-touch',
  'store:after-history-touch',
  'store:before-roll',
  'store:after-roll',
] as const;
export type StoreFaultPoint = (typeof STORE_FAULT_POINTS)[number];

/** Called at every named point; tests make it throw, wait, or end the process. */
export type StoreFault = (point: StoreFaultPoint) => void | Promise<void>;
