import { type CallApp, type ChannelApp, isServed } from '../vendor/app.js';

/** An app, and what of it a run plays: nothing else is expected of the project. */
export interface PlayedApp {
  app_id: string;
  recordings: boolean;
  /** Its APIs, as far as this machine serves them: call records, media events, the log of pushes about channels. */
  records: boolean;
  media: boolean;
  log: boolean;
  channels: boolean;
}

export const playedApps = (apps: readonly CallApp[], channelApps: readonly ChannelApp[]): PlayedApp[] => [
  ...apps.map((app) => ({
    app_id: app.app_id,
    recordings: app.tiwCallbackKey !== undefined,
    records: isServed(app.records),
    media: isServed(app.cloudApi),
    log: false,
    channels: false,
  })),
  ...channelApps.map((app) => ({
    app_id: app.app_id,
    recordings: false,
    records: false,
    media: false,
    log: isServed(app.api),
    channels: true,
  })),
];
