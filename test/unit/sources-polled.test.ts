import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aliyunRtc } from '../../src/sources/aliyun-rtc.js';
import { callRecord } from '../../src/sources/call-record.js';
import { httpFailure, malformed, retryAfterOf, vendorFailure } from '../../src/sources/poll-failure.js';
import { contextQuery, elementOf, type PolledApp, type PollLimits, strayElement, windowsOf } from '../../src/sources/polled.js';
import { queryParameter } from '../../src/sources/query.js';
import { POLLED_SOURCES, polledSourceOf } from '../../src/sources/registry.js';
import { userEvent } from '../../src/sources/user-event.js';

const DAY = 86_400_000;
const MINUTE = 60_000;
const NOW = Date.UTC(2026, 10, 26, 7, 0, 30);
const LIMITS: PollLimits = { perSecond: {}, lookBackMs: 7 * DAY, windowMs: DAY, granularityMs: MINUTE };

describe('time ranges', () => {
  it('go to the vendor on full minutes, in pieces', () => {
    const from = Date.UTC(2026, 10, 24, 5, 0, 59);
    expect(windowsOf({ from, to: from + DAY + 5 * MINUTE }, NOW, LIMITS)).toEqual({
      windows: [
        { from: Date.UTC(2026, 10, 24, 5, 0), to: Date.UTC(2026, 10, 25, 5, 0) },
        { from: Date.UTC(2026, 10, 25, 5, 0), to: Date.UTC(2026, 10, 25, 5, 5) },
      ],
      lost: null,
    });
  });

  it('are cut to the look-back, with a margin, and say what is lost', () => {
    const oldest = Date.UTC(2026, 10, 19, 7, 2);
    const { windows, lost } = windowsOf({ from: NOW - 10 * DAY, to: NOW }, NOW, LIMITS);
    expect(lost).toEqual({ from: NOW - 10 * DAY, to: oldest });
    expect(windows[0]?.from).toBe(oldest);
    expect(windows.at(-1)?.to).toBe(Date.UTC(2026, 10, 26, 7, 0));
    expect(windowsOf({ from: NOW - 10 * DAY, to: NOW - 9 * DAY }, NOW, LIMITS)).toEqual({
      windows: [],
      lost: { from: NOW - 10 * DAY, to: NOW - 9 * DAY },
    });
  });

  it('never ask for the future, nor for nothing', () => {
    expect(windowsOf({ from: NOW - MINUTE, to: NOW + DAY }, NOW, LIMITS).windows).toEqual([
      { from: Date.UTC(2026, 10, 26, 6, 59), to: Date.UTC(2026, 10, 26, 7, 0) },
    ]);
    expect(windowsOf({ from: NOW - 20_000, to: NOW }, NOW, LIMITS)).toEqual({ windows: [], lost: null });
    expect(windowsOf({ from: NOW, to: NOW - MINUTE }, NOW, LIMITS)).toEqual({ windows: [], lost: null });
  });

  it('leave no hole, overlap nowhere, and obey every limit', () => {
    const limits = fc.record({
      perSecond: fc.constant({}),
      lookBackMs: fc.constantFrom(DAY, 7 * DAY),
      windowMs: fc.constantFrom(MINUTE, 60 * MINUTE, DAY),
      granularityMs: fc.constantFrom(1000, MINUTE),
    });
    const offset = fc.integer({ min: -2 * DAY, max: MINUTE });
    fc.assert(
      fc.property(offset, offset, limits, (a, b, l) => {
        const range = { from: NOW + Math.min(a, b), to: NOW + Math.max(a, b) };
        const { windows, lost } = windowsOf(range, NOW, l);
        windows.forEach((w, i) => {
          expect(w.from % l.granularityMs).toBe(0);
          expect(w.to % l.granularityMs).toBe(0);
          expect(w.to - w.from).toBeGreaterThan(0);
          expect(w.to - w.from).toBeLessThanOrEqual(l.windowMs);
          expect(w.from).toBeGreaterThan(NOW - l.lookBackMs);
          expect(w.to).toBeLessThanOrEqual(NOW);
          if (i > 0) expect(w.from).toBe(windows[i - 1]?.to);
        });
        if (windows.length > 0) {
          expect(windows[0]!.from).toBeLessThanOrEqual(lost === null ? range.from : lost.to);
          expect(Math.min(range.to, NOW) - windows.at(-1)!.to).toBeLessThan(l.granularityMs);
        }
      }),
    );
  });
});

describe('elements', () => {
  it('travel by the key of their call, or by their digest', () => {
    expect(elementOf({ provider: 'tencent', app_id: '88', call_id: 'c:1' }, 'q', '{}')).toEqual({
      key: 'tencent:88:c:1',
      query: 'q',
      body: '{}',
    });
    expect(strayElement('', '{}')).toEqual({
      key: '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a',
      query: '',
      body: '{}',
    });
  });

  it('carry any id in their query', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (callId, userId) => {
        const query = contextQuery({ call_id: callId, user_id: userId });
        expect(queryParameter(query, 'call_id')).toBe(callId.toWellFormed());
        expect(queryParameter(query, 'user_id')).toBe(userId.toWellFormed());
      }),
    );
    expect(contextQuery({ a: '\ud800 &=+%' })).toBe('a=%EF%BF%BD%20%26%3D%2B%25');
  });
});

describe('failures', () => {
  it.each([
    [200, null],
    [429, { kind: 'slow_down', code: 'http_429' }],
    [502, { kind: 'retry', code: 'http_502' }],
    [404, { kind: 'retry', code: 'http_404' }],
    [302, { kind: 'retry', code: 'http_302' }],
    [204, { kind: 'retry', code: 'http_204' }],
  ])('HTTP status %i', (status, expected) => {
    const failed = httpFailure('Op', status, {});
    if (expected === null) expect(failed).toBeNull();
    else expect(failed).toMatchObject(expected);
    expect(failed?.retryAfterMs).toBeUndefined();
  });

  const DATE = 'Thu, 26 Nov 2026 07:00:00 GMT';
  it.each([
    [{}, null],
    [{ 'retry-after': '3' }, 3000],
    [{ 'retry-after': ['5', '6'] }, 5000],
    [{ 'retry-after': '99999999999999999999999' }, 3_600_000],
    [{ 'retry-after': '-1' }, null],
    [{ 'retry-after': 'soon' }, null],
    [{ 'retry-after': 'Thu, 26 Nov 2026 07:01:00 GMT', date: DATE }, 60_000],
    [{ 'retry-after': 'Thu, 26 Nov 2026 06:00:00 GMT', date: DATE }, 0],
    [{ 'retry-after': 'Thu, 26 Nov 2026 07:01:00 GMT' }, null],
  ])('waits as %o asks', (headers, expected) => {
    expect(retryAfterOf(headers)).toBe(expected);
  });

  it('quote the vendor, but no credential, no control characters, and not for long', () => {
    const said = { code: 'Bad.Thing', requestId: '9f01db503f2006ad10c45f4f4609e38d' };
    const about = (message: string) => vendorFailure('Op', ['retry', 'a hint'], { ...said, message }).message;
    expect(about('bad\r\n\u202eusersig eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwh-WZiflZpXlQ*')).toBe(
      'Op: error Bad.Thing: a hint; the vendor says: bad usersig …; request 9f01db503f2006ad10c45f4f4609e38d',
    );
    expect(about('x '.repeat(10_000)).length).toBeLessThan(300);
    expect(about('').endsWith('a hint; request 9f01db503f2006ad10c45f4f4609e38d')).toBe(true);
  });

  it('take no odd code or request id for one', () => {
    const failed = vendorFailure('Op', ['stop', 'a hint'], { code: 'a\nb', message: '', requestId: '<script>' });
    expect(failed).toEqual({ kind: 'stop', code: 'unknown', message: 'Op: error unknown: a hint' });
    expect(malformed('Op', 'no list')).toEqual({ kind: 'retry', code: 'malformed', message: 'Op: no list' });
  });
});

describe('what a source says of itself', () => {
  const records = { endpoint: 'https://adminapisgp.im.qcloud.com', identifier: 'administrator', secretKey: 'k' };
  const cloudApi = { endpoint: 'https://trtc.tencentcloudapi.com', region: 'ap-singapore', secretId: 'i', secretKey: 'k' };
  const tencent: PolledApp = { provider: 'tencent', appId: '7', records, cloudApi };
  const aliyun: PolledApp = {
    provider: 'aliyun',
    appId: 'a',
    api: { endpoint: 'https://live.aliyuncs.com', accessKeyId: 'i', accessKeySecret: 'k', subscribeIds: ['s1', 's2'] },
  };
  const task = { call_id: 'c', room_id: 'r', user_id: '', users: ['alice', 'bob'], started_at: NOW - DAY, ended_at: NOW - DAY + MINUTE };

  it('its credentials are a section of the app, or there are none', () => {
    for (const source of POLLED_SOURCES) {
      expect(polledSourceOf(source.name)).toBe(source);
      const app = source.provider === 'tencent' ? tencent : aliyun;
      expect(source.credentialsOf(app)).toBe(app[source.section]);
      expect(source.credentialsOf({ provider: source.provider, appId: '7' })).toBeNull();
      expect(Object.values(source.limits.perSecond).every((rate) => rate > 0)).toBe(true);
    }
    expect(polledSourceOf('tuicallkit')).toBeUndefined();
  });

  it('call records are asked for up to now, or as far as the longest call of the range may end', () => {
    const { first, scopesOf, byStart } = callRecord.sweeping!;
    expect([scopesOf(tencent), byStart]).toEqual([[''], true]);
    const range = { from: NOW - DAY, to: NOW - DAY / 2 };
    expect(first(tencent, '', range, NOW, MINUTE)).toMatchObject({
      what: 'filter',
      generation: 'v4',
      appId: '7',
      from: range.from,
      to: range.to + MINUTE,
      page: 1,
    });
    expect(first(tencent, '', range, NOW, DAY)).toMatchObject({ to: NOW });
  });

  it('one record is asked for by the generation that is configured, else that of the endpoint', () => {
    const { first } = callRecord.tasking!;
    expect(first(tencent, task, NOW)).toEqual({ what: 'call', generation: 'v4', appId: '7', callId: 'c' });
    expect(first({ ...tencent, records: { ...records, generation: 'v1' } }, task, NOW)).toMatchObject({ generation: 'v1' });
    expect(
      first({ ...tencent, records: { ...records, endpoint: 'https://callkit-intl.trtc.tencent-cloud.com' } }, task, NOW),
    ).toMatchObject({ generation: 'v1' });
  });

  it('media events are asked for by user; without a start there is no question', () => {
    const { first } = userEvent.tasking!;
    expect(userEvent.sweeping).toBeNull();
    expect(first(tencent, task, NOW)).toMatchObject({ what: 'room', roomId: 'r', users: ['alice', 'bob'] });
    expect(first(tencent, { ...task, user_id: 'bob' }, NOW)).toMatchObject({ users: ['bob'] });
    expect(first(tencent, { ...task, started_at: null }, NOW)).toBeNull();
    expect(first(tencent, { ...task, room_id: '' }, NOW)).toBeNull();
  });

  it('event pushes are swept by subscription', () => {
    const { first, scopesOf, byStart } = aliyunRtc.sweeping!;
    expect([scopesOf(aliyun), byStart, aliyunRtc.tasking]).toEqual([['s1', 's2'], false, null]);
    const range = { from: NOW - DAY, to: NOW - MINUTE };
    expect(first(aliyun, 's2', range, NOW, DAY)).toEqual({ appId: 'a', subscribeId: 's2', ...range, page: 1 });
  });
});
