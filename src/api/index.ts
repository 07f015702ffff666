export type { AlertDesk, Silence } from './alert-desk.js';
export type { Query } from './query.js';
export type { AppRef } from './route.js';
export { type Api, type ApiDeps, type ApiOptions, startApi } from './server.js';
