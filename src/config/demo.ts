import { DEMO_APP_ID, DEMO_CHANNEL_APP_ID } from './defaults.js';

/** What `callstream up` runs without a file. */
export const DEMO_CONFIG = `apps: [{ provider: tencent, appId: "${DEMO_APP_ID}" }]\n`;

/**
 * What `callstream up --simulate` runs without a file: every source, with the simulated vendor behind all of them. Sweeps are quick, so that what callbacks
 * missed is soon there, and the media of all calls are fetched.
 * @param endpoint where the simulated vendor listens, for example `http://127.0.0.1:8095`
 */
export const simulatedDemoConfig = (
  endpoint: string,
): string => `# Of \`callstream up --simulate\`: these keys are nobody's, they open a simulated vendor on this machine.
apps:
  - provider: tencent
    appId: "${DEMO_APP_ID}"
    tiwCallbackKey: demo-tiw-key
    records: { endpoint: "${endpoint}", identifier: administrator, secretKey: demo-records-key }
    cloudApi: { endpoint: "${endpoint}", region: ap-singapore, secretId: demo-secret-id, secretKey: demo-secret-key }
  - provider: aliyun
    appId: ${DEMO_CHANNEL_APP_ID}
    api: { endpoint: "${endpoint}", subscribeIds: [demo-subscription], accessKeyId: demo-access-key-id, accessKeySecret: demo-access-key }
polling: { sweepEvery: 5s, overlap: 5m, userEvents: all }
`;
