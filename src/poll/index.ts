export { systemChance } from './chance.js';
export { hasCredentials } from './line.js';
export { Poller } from './poller.js';
export type { SweepSettings } from './sweep-range.js';
