import { afterEach, describe, expect, it } from 'vitest';
import type { CallFacts } from '../../src/simulator/vendor/facts.js';
import { callRecord, firstPage } from '../../src/sources/call-record.js';
import { APP_ID, callFacts, KEYS, TestVendor, VENDOR_NOW } from '../support/vendor.js';

const open: TestVendor[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map(({ vendor }) => vendor.close()));
});
async function vendorOf(generation: 'v1' | 'v4', calls: readonly CallFacts[] = [callFacts()]): Promise<TestVendor> {
  const opened = await TestVendor.open({ generation });
  open.push(opened);
  for (const call of calls) opened.vendor.learn(call);
  return opened;
}
const credentials = ({ endpoint }: TestVendor) => ({ endpoint, identifier: KEYS.identifier, secretKey: KEYS.recordsKey });
const byId = (generation: 'v1' | 'v4', callId = 'call-1') => ({ what: 'call' as const, generation, appId: APP_ID, callId });

describe.each(['v1', 'v4'] as const)('the record API, %s', (generation) => {
  const plan = byId(generation);
  const filter = (from = VENDOR_NOW - 3_600_000, to = VENDOR_NOW) => firstPage(generation, APP_ID, from, to);
  const refused = async (vendor: TestVendor, change: Parameters<TestVendor['ask']>[3] = {}, keys = {}) => {
    const answer = await vendor.ask(callRecord, plan, { ...credentials(vendor), ...keys }, change as never);
    return answer.kind === 'page' ? 'page' : `${answer.kind} ${answer.code}`;
  };

  it('gives the record of a call that the product reads as the vendor meant it', async () => {
    const vendor = await vendorOf(generation);
    const answer = await vendor.ask(callRecord, plan, credentials(vendor));
    if (answer.kind !== 'page') throw new Error(answer.message);
    expect(answer.next).toBe(null);
    const body = Buffer.from(answer.elements[0]!.body);
    const [input] = callRecord.toInputs({ source: 'call-record', app_id: APP_ID, received_at: 0, query: '', body });
    const facts = callFacts();
    expect(input).toMatchObject({
      ok: true,
      key: { call_id: 'call-1', app_id: APP_ID },
      input: {
        fields: {
          start_at: Math.floor(facts.start_at / 1_000) * 1_000,
          accept_at: Math.floor(facts.accept_at! / 1_000) * 1_000,
          end_at: Math.floor(facts.end_at / 1_000) * 1_000,
          result: 'normal_end',
          caller: 'alice',
          users: ['alice', 'bob'],
          room_id: '4711',
          media_type: 'video',
          call_type: 'single',
        },
      },
    });
    expect(vendor.vendor.book.served('call-record', APP_ID, answer.elements[0]!.body)).toBe(true);
    expect(vendor.vendor.book.served('call-record', APP_ID, `${answer.elements[0]!.body} `)).toBe(false);
    expect([...vendor.vendor.book.owedRecords(vendor.now)]).toMatchObject([{ app_id: APP_ID, call_id: 'call-1', lost: false }]);
  });

  it('has no record of a call that is not over, nor of one it does not know', async () => {
    const vendor = await vendorOf(generation, [callFacts({ end_at: VENDOR_NOW + 5_000 })]);
    expect(await refused(vendor)).toMatch(/^not_yet/);
    expect(await vendor.all(callRecord, filter(), credentials(vendor))).toMatchObject({ elements: [] });
    expect([...vendor.vendor.book.owedRecords(vendor.now)]).toEqual([]);
    vendor.now += 10_000;
    expect(await refused(vendor)).toBe('page');
    expect([...vendor.vendor.book.owedRecords(vendor.now)]).toHaveLength(1);
    const unknown = await vendor.ask(callRecord, byId(generation, 'nobody'), credentials(vendor));
    expect(unknown.kind).toBe('not_yet');
  });

  it('pages through the calls that began in a range, each once', async () => {
    const calls = Array.from({ length: 230 }, (_, i) =>
      callFacts({ call_id: `call-${i}`, start_at: VENDOR_NOW - 1_000_000 + i * 1_000, end_at: VENDOR_NOW - 700_000 }),
    );
    const outside = callFacts({ call_id: 'older', start_at: VENDOR_NOW - 2_000_000 });
    const vendor = await vendorOf(generation, [...calls.slice(100), outside, ...calls.slice(0, 100)]);
    const { elements, pages } = await vendor.all(callRecord, filter(VENDOR_NOW - 1_000_500, VENDOR_NOW), credentials(vendor));
    expect(elements.map((e) => /call-\d+/.exec(e.body)![0])).toEqual(calls.map((c) => c.call_id));
    expect(pages).toBe(4);
  });

  it('finds calls by result and type, in its own words, and has its own first page', async () => {
    const calls = [
      ...Array.from({ length: 120 }, (_, i) => callFacts({ call_id: `call-${i}` })),
      callFacts({ call_id: 'refused', result: 'reject', accept_at: null }),
      callFacts({ call_id: 'group', call_type: 'group' }),
    ];
    const vendor = await vendorOf(generation, calls);
    const v1 = generation === 'v1';
    const start = Math.floor(VENDOR_NOW / 1_000) - 3_600;
    const found = async (fields: object) => {
      const body = JSON.stringify(v1 ? { startTimestamp: start, ...fields } : fields);
      const answer = await vendor.ask(callRecord, filter(), credentials(vendor), { change: (request) => (request.body = body) });
      return answer.kind === 'page' ? answer.elements.map((e) => /"[cC]allId":"([^"]+)"/.exec(e.body)![1]) : answer.kind;
    };
    expect(await found(v1 ? { callResult: 'reject' } : { CallResult: 'Reject' })).toEqual(['refused']);
    expect(await found(v1 ? { callType: 'group' } : { CallType: 'MultiCall' })).toEqual(['group']);
    expect(await found({})).toHaveLength(v1 ? 100 : 10);
    expect(await found(v1 ? { numberPerPage: 0 } : { NumberPerPage: 0 })).toBe('retry');
    if (v1) expect(await found({ startTimestamp: undefined })).toBe('retry');
  });

  it('keeps seven days', async () => {
    const day = 86_400_000;
    const vendor = await vendorOf(generation, [callFacts({ start_at: VENDOR_NOW - 7 * day - 1_000, end_at: VENDOR_NOW - 7 * day })]);
    expect(await vendor.all(callRecord, filter(VENDOR_NOW - 8 * day), credentials(vendor))).toMatchObject({ elements: [] });
    expect(await refused(vendor)).toMatch(/^not_yet/);
  });

  it('tells who may not ask, and why', async () => {
    const vendor = await vendorOf(generation);
    const v1 = generation === 'v1';
    expect(await refused(vendor, { at: VENDOR_NOW - 86_500_000 })).toBe(v1 ? 'renew 70003' : 'renew 70001');
    expect(await refused(vendor, {}, { secretKey: 'another' })).toBe(v1 ? 'stop 70002' : 'stop 70009');
    expect(await refused(vendor, {}, { identifier: 'somebody' })).toBe(v1 ? 'stop 70004' : 'stop 60010');
    const urlWith = (from: RegExp, to: string) => ({
      change: (request: { url: string }) => {
        request.url = request.url.replace(from, to);
      },
    });
    expect(await refused(vendor, urlWith(/usersig=[^&]+/, 'usersig=nonsense'))).toBe(v1 ? 'stop 70002' : 'stop 70003');
    expect(await refused(vendor, urlWith(/identifier=\w+/, 'identifier=other'))).toBe(v1 ? 'stop 70002' : 'stop 70013');
    expect(await refused(vendor, urlWith(/random=\d+/, 'random=4294967296'))).toMatch(v1 ? /^retry 70001/ : /^retry 100002/);
    expect(await refused(vendor, urlWith(/contenttype=json/, 'contenttype=xml'))).toMatch(v1 ? /^retry 70001/ : /^retry 100002/);
    expect(await refused(vendor, urlWith(/sdkappid=\d+/, 'sdkappid=1'))).toBe(v1 ? 'stop 50001' : 'stop 60006');
    const bodyOf = (body: string) => ({ change: (request: { body: string }) => (request.body = body) });
    expect(await refused(vendor, bodyOf(''))).toBe(v1 ? 'retry 70009' : 'retry 60003');
    expect(await refused(vendor, bodyOf('{"callId"'))).toBe(v1 ? 'retry 70009' : 'retry 60003');
    expect(await refused(vendor, bodyOf('{}'))).toBe(v1 ? 'retry 70001' : 'retry 100002');
    const typed = { change: (request: { headers: Record<string, string> }) => (request.headers['content-type'] = 'text/plain') };
    expect(await refused(vendor, typed)).toBe(v1 ? 'retry 70009' : 'retry 60003');
    const otherGeneration = byId(v1 ? 'v4' : 'v1');
    expect((await vendor.ask(callRecord, otherGeneration, credentials(vendor))).kind).toBe(v1 ? 'stop' : 'retry');
  });

  it('limits the rate in any sliding second', async () => {
    const vendor = await vendorOf(generation);
    const limit = generation === 'v1' ? 20 : 200;
    const begin = VENDOR_NOW;
    for (let i = 0; i < limit; i++) {
      vendor.now = begin + Math.floor((i * 900) / limit);
      expect(await refused(vendor)).toBe('page');
    }
    vendor.now = begin + 990;
    expect(await refused(vendor)).toBe(generation === 'v1' ? 'slow_down 70005' : 'slow_down 60007');
    vendor.now = begin + 1_001;
    expect(await refused(vendor)).toBe('page');
    const operation = callRecord.operationOf(plan);
    expect(vendor.vendor.book.answers()).toEqual({ [operation]: { ok: limit + 1, rate_limited: 1 } });
  });

  it('puts a record right a minute later, and stands by both texts', async () => {
    const vendor = await vendorOf(generation, [callFacts({ misjudged_ms: 3_000 })]);
    const textNow = async () => {
      const answer = await vendor.ask(callRecord, plan, credentials(vendor));
      return answer.kind === 'page' ? answer.elements[0]!.body : answer.kind;
    };
    const first = await textNow();
    vendor.now += 60_000;
    const second = await textNow();
    const end = (text: string) => Number(/"(?:endTs|EndTime)":(\d+)/.exec(text)![1]);
    expect(end(second) - end(first)).toBe(3);
    for (const text of [first, second]) expect(vendor.vendor.book.served('call-record', APP_ID, text)).toBe(true);
  });
});
