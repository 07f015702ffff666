import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tiw } from '../../src/sources/tiw.js';
import { signed, TIW_EXAMPLES, TIW_EXPIRES, TIW_KEY } from '../support/tiw-examples.js';
import { type Harness, startHarness } from './ingest-kit.js';

/** Signed, signed behind a secret, not signed, not signed behind a secret. */
const APPS = [
  { provider: 'tencent', appId: '1400000001', tiwCallbackKey: TIW_KEY },
  { provider: 'tencent', appId: '1400000002', tiwCallbackKey: 'another', callbackSecret: 's-e-c' },
  { provider: 'tencent', appId: '1400000003' },
  { provider: 'tencent', appId: '1400000004', callbackSecret: 'o-t-h' },
] as const;
const GARBAGE = '{"EventType":';

let now: number;
let h: Harness;
beforeEach(async () => {
  now = TIW_EXPIRES;
  h = await startHarness({ apps: APPS }, { sources: [tiw.webhook!], clock: { now: () => now } });
});
afterEach(() => h.close());

const post = (body: object | string, path = '') => h.post(`/callbacks/tiw${path}`, typeof body === 'string' ? body : JSON.stringify(body));
const forApp = (SdkAppId: number, key?: string) => {
  const body = { ...TIW_EXAMPLES.started, SdkAppId };
  return key === undefined ? body : signed(body, key);
};

describe('TIW callbacks over HTTP', () => {
  it.each(Object.entries(TIW_EXAMPLES))('keeps the example %s as it came, and answers with the success body', async (_name, example) => {
    const body = signed(example);
    const response = await post(body);
    expect([response.status, await response.json()]).toEqual([200, { error_code: 0 }]);
    expect(h.kafka.deliveries).toMatchObject([
      {
        topic: 'callstream.raw.tiw',
        key: `tencent:1400000001:${example.EventData.TaskId}`,
        event: { source: 'tiw', app_id: '1400000001', auth: 'signature' },
      },
    ]);
    expect(h.kafka.bodies).toEqual([JSON.stringify(body)]);
  });

  it.each([
    ['the Sign of the vendor page, which is of another time', TIW_EXAMPLES.started, ''],
    ['a Sign of another key', forApp(1_400_000_001, 'other'), ''],
    ['no Sign', { ...TIW_EXAMPLES.started, Sign: undefined }, ''],
    ['an unknown app', forApp(1_400_000_009, TIW_KEY), ''],
    ['an app of another secret', forApp(1_400_000_001, TIW_KEY), '/s-e-c'],
    ['a wrong secret', forApp(1_400_000_002, 'another'), '/wrong'],
    ['an app with a secret, and none given', forApp(1_400_000_002, 'another'), ''],
    ['a good secret and a wrong Sign', forApp(1_400_000_002, 'other'), '/s-e-c'],
    ['a good secret and no Sign', { ...forApp(1_400_000_002), Sign: undefined }, '/s-e-c'],
    ['garbage', GARBAGE, ''],
    ['nothing', '', ''],
    ['no app id', { ...signed(TIW_EXAMPLES.started), SdkAppId: undefined }, ''],
    ['nesting without end', `{"SdkAppId":${'['.repeat(50_000)}`, ''],
  ])('refuses %s', async (_name, body, path) => {
    const response = await post(body, path);
    expect(response.status).toBe(403);
    expect(h.kafka.deliveries).toEqual([]);
  });

  it('refuses what has expired', async () => {
    now += 1;
    expect((await post(signed(TIW_EXAMPLES.started))).status).toBe(403);
  });

  it('takes what is signed behind a secret, and what an app without a key sends unsigned', async () => {
    expect((await post(forApp(1_400_000_002, 'another'), '/s-e-c')).status).toBe(200);
    expect((await post(forApp(1_400_000_003))).status).toBe(200);
    expect((await post(forApp(1_400_000_004), '/o-t-h')).status).toBe(200);
    expect(h.kafka.deliveries.map(({ event }) => [event.app_id, event.auth])).toEqual([
      ['1400000002', 'signature'],
      ['1400000003', 'app'],
      ['1400000004', 'secret'],
    ]);
  });

  it('keeps garbage of the app that a path secret names', async () => {
    for (const path of ['/s-e-c', '/o-t-h']) expect((await post(GARBAGE, path)).status).toBe(200);
    expect(h.kafka.deliveries.map(({ event }) => [event.app_id, event.auth])).toEqual([
      ['1400000002', 'secret'],
      ['1400000004', 'secret'],
    ]);
    expect(h.kafka.deliveries[0]!.key).toMatch(/^[0-9a-f]{64}$/);
    expect(h.kafka.bodies).toEqual([GARBAGE, GARBAGE]);
  });

  it('keeps events of other families, authentic as they are', async () => {
    expect((await post(signed({ ...TIW_EXAMPLES.started, EventType: 'PPT2H5ProgressChanged' }))).status).toBe(200);
    expect(h.kafka.deliveries).toHaveLength(1);
  });
});
