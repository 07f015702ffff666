import { afterEach, describe, expect, it } from 'vitest';
import type { LoggedPush } from '../../src/simulator/vendor/push-log.js';
import { readAliyunDelivery } from '../../src/sources/aliyun-events.js';
import { type AliyunPlan, aliyunRtc } from '../../src/sources/aliyun-rtc.js';
import { CHANNEL_APP_ID, KEYS, TestVendor, VENDOR_NOW } from '../support/vendor.js';

const open: TestVendor[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map(({ vendor }) => vendor.close()));
});
const MINUTE = 60_000;
const THIS_MINUTE = Math.floor(VENDOR_NOW / MINUTE) * MINUTE;

function push(n: number, changes: Partial<LoggedPush> = {}): LoggedPush {
  const event = { UserId: 'alice', EventTag: 'Join', SessionId: `s-${n}`, Timestamp: Math.floor(VENDOR_NOW / 1_000) - 300 + n };
  const text = JSON.stringify({
    MsgId: `m-${n}`,
    SubscribeID: 'said',
    AppId: CHANNEL_APP_ID,
    ChannelID: 'room "7"\n',
    Contents: [{ Event: 'UserEvent', UserEvent: event }],
  });
  const ids = { app_id: CHANNEL_APP_ID, subscribe_id: 'sub-1', channel_id: 'room "7"\n', message_id: `m-${n}` };
  return {
    ...ids,
    text,
    escapedTwice: n % 2 === 1,
    at: VENDOR_NOW - 300_000 + n * 1_000,
    cost_ms: 22,
    url: 'http://x/',
    code: 200,
    ...changes,
  };
}
async function vendorOf(pushes: readonly LoggedPush[]): Promise<TestVendor> {
  const opened = await TestVendor.open();
  open.push(opened);
  for (const one of pushes) opened.vendor.pushed(one);
  return opened;
}
const planOf = (changes: Partial<AliyunPlan> = {}): AliyunPlan => ({
  appId: CHANNEL_APP_ID,
  subscribeId: 'sub-1',
  from: THIS_MINUTE - 15 * MINUTE,
  to: THIS_MINUTE,
  page: 1,
  ...changes,
});
const credentials = ({ endpoint }: TestVendor, changes: object = {}) => ({
  endpoint,
  accessKeyId: KEYS.accessKeyId,
  accessKeySecret: KEYS.accessKeySecret,
  ...changes,
});
const codeOf = async (vendor: TestVendor, plan: AliyunPlan, options: Parameters<TestVendor['ask']>[3] = {}, changes: object = {}) => {
  const answer = await vendor.ask(aliyunRtc, plan, credentials(vendor, changes), options as never);
  return answer.kind === 'page' ? 'page' : `${answer.kind} ${answer.code}`;
};

describe('ListEventSubEvent', () => {
  it('gives the log of pushes, which the product reads as what was pushed, however it is escaped', async () => {
    const vendor = await vendorOf([push(1), push(2, { code: 503 })]);
    const { elements } = await vendor.all(aliyunRtc, planOf(), credentials(vendor));
    expect(elements).toHaveLength(2);
    elements.forEach(({ body }, i) => {
      const [read] = readAliyunDelivery({
        source: 'aliyun-rtc',
        app_id: CHANNEL_APP_ID,
        received_at: 0,
        query: '',
        body: Buffer.from(body),
      });
      expect(read).toMatchObject({
        ok: true,
        event: {
          channel_id: 'room "7"\n',
          user_id: 'alice',
          session_id: `s-${i + 1}`,
          event: 'join',
          message_id: `m-${i + 1}`,
          subscribe_id: 'said',
          delivery: { code: i === 0 ? '200' : '503', delivered: i === 0, at: VENDOR_NOW - 300_000 + (i + 1) * 1_000 },
        },
      });
      expect(vendor.vendor.book.served('aliyun-rtc', CHANNEL_APP_ID, body)).toBe(true);
    });
    expect([...vendor.vendor.book.owedEvents(vendor.now)].map((e) => [e.message_id, e.lost])).toEqual([
      ['m-1', false],
      ['m-2', true],
    ]);
  });

  it('pages exactly, by subscription, and owes a message once however often it was pushed', async () => {
    const pushes = Array.from({ length: 250 }, (_, n) => push(n));
    const vendor = await vendorOf([
      ...pushes,
      push(0, { at: VENDOR_NOW - 200_000 }),
      push(999, { at: VENDOR_NOW - 100_000, subscribe_id: 'sub-2' }),
    ]);
    const { elements, pages } = await vendor.all(aliyunRtc, planOf(), credentials(vendor));
    expect(pages).toBe(3);
    expect(elements).toHaveLength(251);
    expect(await vendor.all(aliyunRtc, planOf({ subscribeId: 'sub-2' }), credentials(vendor))).toMatchObject({ pages: 1, elements: [{}] });
    expect([...vendor.vendor.book.owedEvents(vendor.now)]).toHaveLength(251);
  });

  it('tells minutes apart and no less', async () => {
    const vendor = await vendorOf([push(1, { at: THIS_MINUTE - 1 }), push(2, { at: THIS_MINUTE })]);
    const { elements } = await vendor.all(aliyunRtc, planOf({ from: THIS_MINUTE - MINUTE }), credentials(vendor));
    expect(elements.map((e) => /m-\d/.exec(e.body)![0])).toEqual(['m-1']);
    expect(await codeOf(vendor, planOf({ from: THIS_MINUTE }))).toBe('refused InputInvalid');
  });

  it('tells who may not ask, and why', async () => {
    const vendor = await vendorOf([]);
    expect(await codeOf(vendor, planOf(), {}, { accessKeySecret: 'another' })).toBe('stop SignatureDoesNotMatch');
    expect(await codeOf(vendor, planOf(), {}, { accessKeyId: 'another' })).toBe('stop InvalidAccessKeyId.NotFound');
    expect(await codeOf(vendor, planOf(), { at: VENDOR_NOW - 16 * MINUTE })).toBe('retry InvalidTimeStamp.Expired');
    expect(await codeOf(vendor, planOf(), { nonce: 'once-and-again-0' })).toBe('page');
    expect(await codeOf(vendor, planOf(), { nonce: 'once-and-again-0' })).toBe('retry SignatureNonceUsed');
    expect(await codeOf(vendor, planOf({ appId: 'stranger' }))).toBe('stop ResourceNotExist');
    expect(await codeOf(vendor, planOf({ subscribeId: 'sub-9' }))).toBe('stop ResourceNotExist');
    expect(await codeOf(vendor, planOf({ from: VENDOR_NOW - 8 * 86_400_000 }))).toBe('refused InputInvalid');
    const tampered = { change: (request: { url: string }) => (request.url = request.url.replace('PageSize=100', 'PageSize=10')) };
    expect(await codeOf(vendor, planOf(), tampered)).toBe('stop SignatureDoesNotMatch');
  });

  it('limits the rate to 50 requests in any sliding second', async () => {
    const vendor = await vendorOf([push(1)]);
    for (let i = 0; i < 50; i++) expect(await codeOf(vendor, planOf())).toBe('page');
    vendor.now += 999;
    expect(await codeOf(vendor, planOf())).toBe('slow_down Throttling.User');
    vendor.now += 2;
    expect(await codeOf(vendor, planOf())).toBe('page');
    expect(vendor.vendor.book.answers()).toEqual({ ListEventSubEvent: { ok: 51, rate_limited: 1 } });
  });
});
