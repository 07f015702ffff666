import type { App, Config } from '../config/index.js';
import type { CallApp, ChannelApp } from '../simulator/index.js';
import { generationOf } from '../sources/call-record-api.js';

/** The configured apps as their simulated vendors know them, keys included. */
export function simulatedApps(config: Config): { apps: CallApp[]; channelApps: ChannelApp[] } {
  return {
    apps: config.apps.flatMap((app) => (app.provider === 'tencent' ? [callApp(app)] : [])),
    channelApps: config.apps.flatMap((app) => (app.provider === 'aliyun' ? [channelApp(app)] : [])),
  };
}

function callApp({ appId, callbackSecret, tiwCallbackKey, records, cloudApi }: App & { provider: 'tencent' }): CallApp {
  return {
    app_id: appId,
    ...(callbackSecret === undefined ? {} : { secret: callbackSecret }),
    ...(tiwCallbackKey === undefined ? {} : { tiwCallbackKey }),
    ...(records === undefined ? {} : { records: { ...records, generation: records.generation ?? generationOf(records.endpoint) } }),
    ...(cloudApi === undefined ? {} : { cloudApi }),
  };
}

function channelApp({ appId, callbackSecret, api }: App & { provider: 'aliyun' }): ChannelApp {
  return {
    app_id: appId,
    ...(callbackSecret === undefined ? {} : { secret: callbackSecret }),
    ...(api === undefined ? {} : { api }),
  };
}
