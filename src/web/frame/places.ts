import { CallPage } from '../pages/call.js';
import { OverviewPage } from '../pages/overview.js';
import type { Place } from './page.js';

/** Every page, in the order of the navigation. The server serves the same document at each of these addresses (src/api/server.ts). */
export const PLACES: readonly Place[] = [
  { path: '/', name: 'Overview', own: ['outcome', 'q'], open: (frame) => new OverviewPage(frame) },
  { path: '/call', name: '', own: ['provider', 'app_id', 'id'], open: (frame) => new CallPage(frame) },
];
