import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkConfig } from '../../src/cli/doctor/config.js';
import { checkVendors } from '../../src/cli/doctor/vendors.js';
import { parseConfig } from '../../src/config/index.js';
import { CallApiVendor, failed } from '../support/call-api-vendor.js';

const tencent = (more: string): string => `apps: [{ provider: tencent, appId: "1"${more} }]`;
const records = (endpoint = 'http://127.0.0.1:1'): string =>
  `, records: { endpoint: "${endpoint}", identifier: administrator, secretKey: top-secret-key }`;
const cloudApi = (endpoint: string): string =>
  `, cloudApi: { endpoint: "${endpoint}", region: ap-singapore, secretId: AKID, secretKey: top-secret-key }`;

describe('what doctor says of polling', () => {
  const said = (text: string): string[] =>
    checkConfig({ ...parseConfig(text), file: 'f', demo: false })
      .filter(({ what }) => what === 'polling')
      .map(({ is }) => is);

  it.each([
    [`${tencent('')}\npolling: { sweepEvery: 5s }`, ['nothing is polled']],
    [tencent(''), []],
    [`${tencent(records())}\npolling: { userEvents: all }`, ['userEvents is all, but no app has cloudApi to fetch them with']],
    [`${tencent(records())}\npolling: { userEvents: off, recordSample: 0.5 }`, []],
    [
      `${tencent(cloudApi('http://127.0.0.1:1'))}\npolling: { recordSample: 0.5 }`,
      ['recordSample is set, but no app has records to fetch them with'],
    ],
    [`${tencent(records())}\npolling: { backfillOnStart: 14d }`, ['backfillOnStart is 14d, but the vendor answers call-record 7d back']],
  ])('%s', (text, expected) => expect(said(text)).toEqual(expected));
});

describe('what doctor says of vendors', () => {
  let vendor: CallApiVendor;
  beforeAll(async () => {
    vendor = await CallApiVendor.start();
  });
  afterAll(() => vendor.stop());
  const ask = (more: string) => checkVendors(parseConfig(tencent(more)).config);

  it('asks each API one small question', async () => {
    expect(await ask(records(vendor.endpoint) + cloudApi(vendor.endpoint))).toEqual([
      { level: 'ok', what: 'call-record', is: 'the vendor answers for app 1' },
      { level: 'ok', what: 'user-event', is: 'the vendor answers for app 1' },
    ]);
    expect(['v1/records/get_records_by_filter', 'DescribeRoomInfo', 'DescribeUserEvent'].map((op) => vendor.requests(op))).toEqual([
      1, 1, 0,
    ]);
    expect(await ask('')).toEqual([]);
  });

  it.each([
    ['a wrong key', () => failed(70002), 'problem', /^apps\[0\]\.records: .*check identifier and secretKey under records/],
    ['too many questions', () => failed(70005), 'warning', /asks for fewer requests/],
    ['a host that is down', () => ({ status: 502, body: '' }), 'warning', /HTTP status 502/],
  ])('%s is what it is, in one line', async (_, answer, level, is) => {
    vendor.whim = answer;
    const found = await ask(records(vendor.endpoint));
    vendor.whim = () => null;
    expect(found).toEqual([expect.objectContaining({ level, what: 'call-record', is: expect.stringMatching(is) })]);
    expect(JSON.stringify(found)).not.toContain('top-secret-key');
  });

  it('names the place of an endpoint that nobody listens at', async () => {
    const [found] = await ask(records());
    expect(found).toMatchObject({ level: 'warning', todo: expect.stringContaining('check endpoint under apps[0].records') });
  });
});
