import { request } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import type { CallFacts } from '../../src/simulator/vendor/facts.js';
import { tc3Authorization } from '../../src/sources/sign/tc3.js';
import { readMediaEvents, type UserEventPlan, userEvent, userEventPlan } from '../../src/sources/user-event.js';
import { APP_ID, callFacts, KEYS, TestVendor, VENDOR_NOW } from '../support/vendor.js';

const open: TestVendor[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map(({ vendor }) => vendor.close()));
});
async function vendorOf(calls: readonly CallFacts[] = [callFacts()]): Promise<TestVendor> {
  const opened = await TestVendor.open();
  open.push(opened);
  for (const call of calls) opened.vendor.learn(call);
  return opened;
}
const credentials = ({ endpoint }: TestVendor, changes: object = {}) => ({
  endpoint,
  region: 'ap-singapore',
  secretId: KEYS.secretId,
  secretKey: KEYS.secretKey,
  ...changes,
});
function planOf(call: CallFacts, now = VENDOR_NOW): UserEventPlan {
  const { call_id: callId, room_id: roomId, users, start_at: startedAt, end_at: endedAt } = call;
  return userEventPlan({ appId: APP_ID, callId, roomId, users, startedAt, endedAt }, now)!;
}
const codeOf = async (vendor: TestVendor, plan: UserEventPlan, options: Parameters<TestVendor['ask']>[3] = {}, changes: object = {}) => {
  const answer = await vendor.ask(userEvent, plan, credentials(vendor, changes), options as never);
  return answer.kind === 'page' ? 'page' : `${answer.kind} ${answer.code}`;
};
const eventsOf = (body: string) => readMediaEvents(body).map(({ event_id, at, param_one }) => ({ event_id, at, param_one }));

const plain = (ms: number): number => Math.floor(ms / 1_000);

/** A signed question of the test's own. */
async function askRooms(vendor: TestVendor, fields: object): Promise<{ RoomList?: unknown[]; Error?: { Code: string } }> {
  const [host, contentType, body] = [new URL(vendor.endpoint).host, 'application/json', JSON.stringify(fields)];
  const timestamp = plain(vendor.now);
  const signed = { method: 'POST', host, contentType, body, service: 'trtc', timestamp } as const;
  const headers = {
    'content-type': contentType,
    authorization: tc3Authorization(signed, KEYS),
    'x-tc-action': 'DescribeRoomInfo',
    'x-tc-version': '2019-07-22',
    'x-tc-timestamp': `${timestamp}`,
    'x-tc-region': 'ap-singapore',
  };
  const response = await request(`${vendor.endpoint}/`, { method: 'POST', headers, body });
  return ((await response.body.json()) as { Response: { RoomList?: unknown[]; Error?: { Code: string } } }).Response;
}

describe('DescribeRoomInfo and DescribeUserEvent', () => {
  it('tell of each participant what fits to its time in the room, in the words of its platform', async () => {
    const call = callFacts();
    const vendor = await vendorOf([call]);
    const { elements } = await vendor.all(userEvent, planOf(call), credentials(vendor));
    expect(elements.map((e) => e.query.includes(`comm_id=${APP_ID}_4711_${Math.floor(call.start_at / 1_000)}`))).toEqual([true, true]);
    const [alice, bob] = elements.map((e) => eventsOf(e.body));
    const [aliceThere, bobThere] = call.presences;
    const near = (at: number, expected: number) => Math.abs(at - expected) < 200;
    expect(alice!.some((e) => e.event_id === 5003 && e.param_one === 1 && near(e.at, aliceThere!.from))).toBe(true);
    expect(alice!.some((e) => e.event_id === 5008 && e.param_one === 1 && e.at === aliceThere!.to)).toBe(true);
    expect(bob!.some((e) => e.event_id === 32788 && near(e.at, bobThere!.from))).toBe(true);
    expect(bob!.some((e) => e.event_id === 32789 && e.at === bobThere!.to)).toBe(true);
    expect(vendor.vendor.book.mediaUsers(APP_ID, 'call-1')).toEqual(['alice', 'bob']);
    for (const { body } of elements) expect(vendor.vendor.book.served('user-event', APP_ID, body)).toBe(true);
  });

  it('tell of one who was cut off, and nothing of one who never came', async () => {
    const [first, second] = callFacts().presences;
    const call = callFacts({
      users: ['alice', 'bob', 'carol'],
      presences: [
        { ...first!, cut: true },
        { ...second!, cut: true },
      ],
    });
    const vendor = await vendorOf([call]);
    const { elements } = await vendor.all(userEvent, planOf(call), credentials(vendor));
    expect(elements).toHaveLength(2);
    expect(eventsOf(elements[0]!.body).map((e) => e.event_id)).toEqual(expect.arrayContaining([7001]));
    expect(eventsOf(elements[1]!.body).map((e) => e.event_id)).toEqual(expect.arrayContaining([36864]));
    expect(vendor.vendor.book.mediaUsers(APP_ID, 'call-1')).toEqual(['alice', 'bob']);
  });

  it('have drops now and then', async () => {
    const calls = Array.from({ length: 200 }, (_, i) => callFacts({ call_id: `c-${i}`, room_id: `${i + 1}` }));
    const vendor = await vendorOf(calls);
    let drops = 0;
    for (const call of calls) {
      vendor.now += 120;
      const { elements } = await vendor.all(userEvent, planOf(call, vendor.now), credentials(vendor));
      for (const { body } of elements) drops += eventsOf(body).filter((e) => [5005, 32790, 32792].includes(e.event_id)).length;
    }
    expect(drops).toBeGreaterThan(20);
    expect(drops).toBeLessThan(120);
  });

  it('know a room that is used again by another CommId, one that is still open by the same, and rooms with names', async () => {
    const shifted = (call: CallFacts, ms: number): CallFacts => ({
      ...call,
      start_at: call.start_at + ms,
      end_at: call.end_at + ms,
      presences: call.presences.map((p) => ({ ...p, from: p.from + ms, to: p.to + ms })),
    });
    const base = callFacts({ room_id: 'Zimmer 7 🛋️' });
    const earlier = shifted({ ...base, call_id: 'earlier' }, -200_000);
    const during = shifted({ ...base, call_id: 'during' }, 20_000);
    const vendor = await vendorOf([earlier, base, during]);
    const commIds: string[] = [];
    for (const call of [earlier, base, during]) {
      const { elements } = await vendor.all(userEvent, planOf(call), credentials(vendor));
      commIds.push(new URLSearchParams(elements[0]!.query).get('comm_id')!);
    }
    expect(new Set(commIds).size).toBe(2);
    expect(commIds[1]).toBe(commIds[2]);
    for (const commId of commIds) expect(commId).toMatch(new RegExp(`^${APP_ID}_5\\d{8}_\\d{10}$`));
  });

  it('page rooms from 0 until a short page, and by ten where paging is not asked for', async () => {
    const calls = Array.from({ length: 130 }, (_, i) => {
      const start_at = VENDOR_NOW - 400_000 + i * 2_000;
      return callFacts({
        call_id: `c-${i}`,
        room_id: '9',
        start_at,
        end_at: start_at + 900,
        presences: [{ user: 'alice', web: false, from: start_at, to: start_at + 900, cut: false }],
      });
    });
    const vendor = await vendorOf(calls);
    const last = calls.at(-1)!;
    const { elements, pages } = await vendor.all(userEvent, planOf(last), credentials(vendor));
    // Two pages of rooms, two users.
    expect(pages).toBe(4);
    expect(elements[0]!.query).toContain(`comm_id=${APP_ID}_9_${Math.floor(last.start_at / 1_000)}`);
    const base = { SdkAppId: Number(APP_ID), StartTime: plain(VENDOR_NOW - 500_000), EndTime: plain(VENDOR_NOW), RoomId: '9' };
    const roomsOf = async (body: object) => (await askRooms(vendor, { ...base, ...body })).RoomList?.length;
    expect(await roomsOf({})).toBe(10);
    expect(await roomsOf({ PageSize: 100 })).toBe(10);
    expect(await roomsOf({ PageSize: 100, PageNumber: 0 })).toBe(100);
    expect(await roomsOf({ PageSize: 100, PageNumber: 1 })).toBe(30);
    expect(await roomsOf({ PageSize: 100, PageNumber: 2 })).toBe(0);
    expect(await roomsOf({ PageSize: 100, PageNumber: 0, RoomId: undefined, EndTime: base.StartTime + 110 })).toBe(6);
    expect((await askRooms(vendor, { ...base, PageSize: 101, PageNumber: 0 })).Error?.Code).toBe('InvalidParameter.PageSizeOversize');
    expect((await askRooms(vendor, { ...base, StartTime: base.EndTime - 86_401 })).Error?.Code).toBe('InvalidParameter.QueryScaleOversize');
  });

  it('have no room of a call that nobody entered', async () => {
    const call = callFacts({ presences: [], accept_at: null, result: 'not_answer' });
    const vendor = await vendorOf([call]);
    expect(await codeOf(vendor, planOf(call))).toBe('not_yet absent');
    expect(vendor.vendor.book.mediaUsers(APP_ID, 'call-1')).toEqual([]);
  });

  it('tell who may not ask, and why', async () => {
    const vendor = await vendorOf();
    const plan = planOf(callFacts());
    expect(await codeOf(vendor, plan, {}, { secretKey: 'another' })).toBe('stop AuthFailure.SignatureFailure');
    expect(await codeOf(vendor, plan, {}, { secretId: 'another' })).toBe('stop AuthFailure.SecretIdNotFound');
    expect(await codeOf(vendor, plan, { at: VENDOR_NOW - 301_000 })).toBe('retry AuthFailure.SignatureExpire');
    expect(await codeOf(vendor, plan, { at: VENDOR_NOW - 299_000 })).toBe('page');
    expect(await codeOf(vendor, plan, {}, { region: 'eu-frankfurt' })).toBe('stop UnsupportedRegion');
    const headers = (name: string, value: string) => ({
      change: (request: { headers: Record<string, string> }) => (request.headers[name] = value),
    });
    expect(await codeOf(vendor, plan, headers('x-tc-action', 'DescribeNothing'))).toBe('stop InvalidAction');
    expect(await codeOf(vendor, plan, headers('x-tc-version', '2018-01-01'))).toBe('stop NoSuchVersion');
    expect(await codeOf(vendor, plan, headers('content-type', 'application/json; charset=utf-8'))).toBe(
      'stop AuthFailure.SignatureFailure',
    );
    const stranger = await vendor.ask(userEvent, { ...plan, appId: '1400000099' }, credentials(vendor));
    expect(stranger).toMatchObject({ kind: 'stop', code: 'InvalidParameter.SdkAppId' });
  });

  it('refuse a range that is too long ago or none, and what misses a parameter', async () => {
    const vendor = await vendorOf();
    const plan = planOf(callFacts()) as UserEventPlan & { what: 'room' };
    const day = 86_400_000;
    expect(await codeOf(vendor, { ...plan, from: VENDOR_NOW - 15 * day, to: VENDOR_NOW - 14.5 * day })).toBe(
      'refused InvalidParameter.StartTimeOversize',
    );
    const { what: _, startedAt: __, endedAt: ___, page: ____, rooms: _____, late: ______, ...about } = plan;
    const user: UserEventPlan = { ...about, what: 'user', commId: `${APP_ID}_4711_1`, everyone: about.users, others: [], found: false };
    expect(await codeOf(vendor, { ...user, from: VENDOR_NOW - 15 * day })).toBe('refused InvalidParameter.StartTsOversize');
    expect(await codeOf(vendor, { ...user, to: user.from - 5_000 })).toBe('refused InvalidParameter.EndTs');
    expect(await codeOf(vendor, { ...user, commId: '' })).toBe('refused MissingParameter.CommId');
    expect(await codeOf(vendor, { ...user, users: ['carol'] })).toBe('not_yet absent');
  });

  it('limit each operation of an app to 20 requests in any sliding second', async () => {
    const vendor = await vendorOf();
    const plan = planOf(callFacts());
    for (let i = 0; i < 20; i++) expect(await codeOf(vendor, plan)).toBe('page');
    vendor.now += 999;
    expect(await codeOf(vendor, plan)).toBe('slow_down RequestLimitExceeded');
    vendor.now += 2;
    expect(await codeOf(vendor, plan)).toBe('page');
    expect(vendor.vendor.book.answers()).toEqual({ DescribeRoomInfo: { ok: 21, rate_limited: 1 } });
  });
});
