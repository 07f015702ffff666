import { afterEach, describe, expect, it } from 'vitest';
import { tuicallkit } from '../../src/sources/tuicallkit.js';
import { type Harness, startHarness } from './ingest-kit.js';

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.close();
  harness = undefined;
});

const V1 = { CallId: 'c:1', UserId: 'a', Event: 'start_call', EventTime: 1704695566 };
const START = { CallInfo: { CallId: 'c:1' }, UserList: [{ User_Account: 'a', Status: 'Calling' }], EventTime: 1740464128807 };
const CHANGED = { CallId: 'c:1', UserList: [], ChangedUserList: [{ User_Account: 'a', ActionType: 'Hangup' }], EventTime: 1740464128807 };
const END = { CallRecord: { CallId: 'c:1', CallResult: 'NormalEnd' }, EventTime: 1740464128807 };
const V1_SUCCESS = { ErrorCode: 0, ErrorMessage: 'Success' };
const V4_SUCCESS = { ActionStatus: 'OK', ErrorInfo: '', ErrorCode: 0 };

describe('the TUICallKit endpoint', () => {
  it.each([
    ['v1', 'sdkappid=88&command=caller_start_call', V1, V1_SUCCESS],
    ['v4 StartCall', 'SdkAppid=88&CallbackCommand=Call.CallbackAfterStartCall', START, V4_SUCCESS],
    ['v4 MemberChanged', 'SDKAPPID=88', CHANGED, V4_SUCCESS],
    ['v4 EndCall', 'contenttype=json&SdkAppid=88', END, V4_SUCCESS],
  ])('takes %s at one URL, files it under its call, and answers each in its own words', async (_name, query, body, answer) => {
    harness = await startHarness({ apps: [{ provider: 'tencent', appId: '88' }] }, { sources: [tuicallkit.webhook!] });
    const response = await harness.post(`/callbacks/tuicallkit?${query}`, JSON.stringify(body));
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual(answer);
    expect(harness.kafka.deliveries).toMatchObject([
      {
        topic: 'callstream.raw.tuicallkit',
        key: 'tencent:88:c:1',
        event: { app_id: '88', query, body: Buffer.from(JSON.stringify(body)) },
      },
    ]);
  });

  it('refuses v4 of an app that is not ours', async () => {
    harness = await startHarness({ apps: [{ provider: 'tencent', appId: '88' }] }, { sources: [tuicallkit.webhook!] });
    expect((await harness.post('/callbacks/tuicallkit?SdkAppid=89', JSON.stringify(START))).status).toBe(403);
    expect(harness.kafka.deliveries).toEqual([]);
  });
});
