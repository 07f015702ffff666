import { AlertsPage } from '../pages/alerts.js';
import { CallPage } from '../pages/call.js';
import { CallsPage } from '../pages/calls.js';
import { HealthPage } from '../pages/health.js';
import { MissedPage } from '../pages/missed.js';
import { OverviewPage } from '../pages/overview.js';
import { PeoplePage } from '../pages/people.js';
import { RecordingsPage } from '../pages/recordings.js';
import { FILTER_NAMES } from '../parts/call-filter.js';
import type { Place } from './page.js';

/** Every page, in the order of the navigation. The server serves the same document at each of these addresses (src/api/server.ts). */
export const PLACES: readonly Place[] = [
  { path: '/', name: 'Overview', own: ['outcome', 'q'], open: (frame) => new OverviewPage(frame) },
  { path: '/missed', name: 'Missed', own: ['user'], open: (frame) => new MissedPage(frame) },
  { path: '/calls', name: 'Calls', own: FILTER_NAMES, open: (frame) => new CallsPage(frame) },
  { path: '/call', name: '', own: ['provider', 'app_id', 'id'], open: (frame) => new CallPage(frame) },
  { path: '/people', name: 'People', own: ['user'], open: (frame) => new PeoplePage(frame) },
  { path: '/recordings', name: 'Recordings', own: ['status', 'exceptions', 'room', 'task'], open: (frame) => new RecordingsPage(frame) },
  { path: '/health', name: 'Health', own: ['reason'], open: (frame) => new HealthPage(frame) },
  { path: '/alerts', name: 'Alerts', own: [], open: (frame) => new AlertsPage(frame) },
];
