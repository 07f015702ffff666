import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { aliyunChannels } from '../../src/sources/aliyun-channels.js';
import { ALIYUN_APP, aliyunPush } from '../support/aliyun-example.js';
import { type Harness, startHarness } from './ingest-kit.js';

const APPS = [
  { provider: 'aliyun', appId: ALIYUN_APP },
  { provider: 'aliyun', appId: 'behind', callbackSecret: 's-e-c' },
  { provider: 'tencent', appId: '1400000001' },
] as const;

let h: Harness;
beforeEach(async () => {
  h = await startHarness({ apps: APPS }, { sources: [aliyunChannels.webhook!] });
});
afterEach(() => h.close());

const post = (body: object | string, path = '') =>
  h.post(`/callbacks/aliyun-rtc${path}`, typeof body === 'string' ? body : JSON.stringify(body));

describe('pushes of Aliyun over HTTP', () => {
  it('are kept as they came, by channel, and answered 200', async () => {
    const push = aliyunPush('Join');
    const response = await post(push);
    expect([response.status, await response.json()]).toEqual([200, {}]);
    expect(h.kafka.deliveries).toMatchObject([
      {
        topic: 'callstream.raw.aliyun-rtc',
        key: `aliyun:${ALIYUN_APP}:9099`,
        event: { source: 'aliyun-rtc', app_id: ALIYUN_APP, auth: 'app' },
      },
    ]);
    expect(h.kafka.bodies).toEqual([JSON.stringify(push)]);
  });

  it.each([
    ['an unknown app', { ...aliyunPush('Join'), AppId: 'nobody' }, ''],
    ['an app of another vendor', { ...aliyunPush('Join'), AppId: '1400000001' }, ''],
    ['an app with a secret, and none given', { ...aliyunPush('Join'), AppId: 'behind' }, ''],
    ['a wrong secret', { ...aliyunPush('Join'), AppId: 'behind' }, '/wrong'],
    ['an app of another secret', aliyunPush('Join'), '/s-e-c'],
    ['no app', { ...aliyunPush('Join'), AppId: undefined }, ''],
    ['garbage', '{"AppId":', ''],
    ['nesting without end', `{"AppId":${'['.repeat(50_000)}`, ''],
  ])('are refused: %s', async (_name, body, path) => {
    expect((await post(body, path)).status).toBe(403);
    expect(h.kafka.deliveries).toEqual([]);
  });

  it('that cannot be read are kept for the app that a path secret names', async () => {
    expect((await post('garbage', '/s-e-c')).status).toBe(200);
    expect((await post({ ...aliyunPush('Join'), AppId: 'behind' }, '/s-e-c')).status).toBe(200);
    expect(h.kafka.deliveries.map(({ event }) => [event.app_id, event.auth])).toEqual([
      ['behind', 'secret'],
      ['behind', 'secret'],
    ]);
    expect(h.kafka.deliveries[0]!.key).toMatch(/^[0-9a-f]{64}$/);
  });
});
