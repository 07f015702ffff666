import { expect, it } from 'vitest';
import { simulatedApps } from '../../src/cli/simulated-apps.js';
import { parseConfig, simulatedDemoConfig } from '../../src/config/index.js';
import { isServed } from '../../src/simulator/vendor/app.js';

it('the demo of up --simulate is valid, and its simulated vendor serves everything that is polled', () => {
  const { config } = parseConfig(simulatedDemoConfig('http://127.0.0.1:8095'));
  const { apps, channelApps } = simulatedApps(config);
  expect(apps).toMatchObject([{ app_id: '1400000001', tiwCallbackKey: expect.any(String), records: { generation: 'v1' } }]);
  for (const api of [apps[0]!.records, apps[0]!.cloudApi, channelApps[0]!.api]) expect(isServed(api)).toBe(true);
});

it('an app has what the configuration gives it, and no more', () => {
  const { config } = parseConfig(`apps:
  - { provider: tencent, appId: "1" }
  - provider: tencent
    appId: "2"
    callbackSecret: path-secret
    records: { endpoint: "https://adminapisgp.im.qcloud.com", identifier: admin, secretKey: k }
  - { provider: tencent, appId: "3", records: { endpoint: "http://127.0.0.1:1", identifier: admin, secretKey: k, generation: v4 } }
  - { provider: aliyun, appId: rtc, callbackSecret: another-secret }
`);
  const { apps, channelApps } = simulatedApps(config);
  expect(apps[0]).toEqual({ app_id: '1' });
  expect(apps[1]).toMatchObject({ app_id: '2', secret: 'path-secret', records: { generation: 'v4' } });
  expect(apps.map((app) => isServed(app.records))).toEqual([false, false, true]);
  expect(apps[2]!.records?.generation).toBe('v4');
  expect(channelApps).toEqual([{ app_id: 'rtc', secret: 'another-secret' }]);
});
