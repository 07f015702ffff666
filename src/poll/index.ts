export { Acknowledged } from './acknowledged.js';
export { BACKFILL_SHARE, Backfill, type BackfillProgress, checkRange } from './backfill.js';
export { Cursors } from './cursors.js';
export { Hosts } from './host.js';
export { type Asked, hasCredentials, type Line, openLines } from './line.js';
export { PollOutlet } from './outlet.js';
export { Poller } from './poller.js';
export type { SweepSettings } from './sweep-range.js';
export { TIMING } from './timing.js';
