import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { channelCallId } from '../../src/domain/key.js';
import { aliyunChannels } from '../../src/sources/aliyun-channels.js';
import type { ReadElement } from '../../src/sources/element.js';
import { channelSourceOf, topicsAbout } from '../../src/sources/registry.js';
import { channelEventId } from '../../src/workers/event-id.js';
import { ALIYUN_APP, ALIYUN_PUSH, aliyunPage, aliyunPush } from '../support/aliyun-example.js';
import { hostileResponses } from '../support/hostile.js';

const NOW = 1_697_545_592_000;
const read = (body: string | object) =>
  aliyunChannels.toInputs({
    source: 'aliyun-rtc',
    app_id: ALIYUN_APP,
    received_at: NOW,
    query: '',
    body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
  });
const entry = (push?: object, code?: number): string => JSON.stringify(JSON.parse(aliyunPage(push, code)).Logs[0]);
const one = (body: string | object): ReadElement<'channel'> => {
  const [element] = read(body);
  if (!element?.ok) throw new Error(element?.error);
  return element;
};
const idOf = ({ key, input }: ReadElement<'channel'>): string => channelEventId(key, input);
const stored = ({ key, input, body, index }: ReadElement<'channel'>) => ({
  ...{ call_id: channelCallId(key.channel_id), room_id: key.channel_id, user_id: input.user_id, role: '', event: input.event },
  ...{ event_at: input.event_at, platform: '', call_result: '' },
  detail: aliyunChannels.describe({ ok: true, key, input, body, index }),
});

const LEFT = {
  ...{
    event: 'leave',
    user_id: 'linux_test',
    session_id: 'je7y2sBZJZQ0VBJZrh4LnBkxvGH2WyVs',
    event_at: 1_697_545_591_000,
    received_at: NOW,
  },
};
const KEY = { provider: 'aliyun', app_id: ALIYUN_APP, channel_id: '9099' };

describe('the example of the vendor’s page', () => {
  it('is one event, pushed or polled', () => {
    expect(read(ALIYUN_PUSH)).toMatchObject([{ ok: true, index: 0, key: KEY, input: { ...LEFT, polled: false, undelivered: false } }]);
    expect(read(entry())).toMatchObject([{ ok: true, index: 0, key: KEY, input: { ...LEFT, polled: true, undelivered: false } }]);
    expect(read(entry(ALIYUN_PUSH, 404))).toMatchObject([{ input: { ...LEFT, polled: true, undelivered: true } }]);
    expect(new Set([ALIYUN_PUSH, entry(), entry(ALIYUN_PUSH, 404)].map((body) => idOf(one(body)))).size).toBe(1);
  });

  it('keeps every other field', () => {
    const { UserId: _u, EventTag: _e, Timestamp: _t, ...fields } = ALIYUN_PUSH.Contents[0]!.UserEvent;
    const { ChannelId: _c, Contents: _x, ...push } = ALIYUN_PUSH;
    const detail = { ...push, Contents: [{ Event: 'UserEvent', UserEvent: fields }] };
    expect(JSON.parse(aliyunChannels.describe(one(ALIYUN_PUSH)))).toEqual(detail);
    const { AppId: _a, Data: _d, ...log } = JSON.parse(entry());
    expect(JSON.parse(aliyunChannels.describe(one(entry())))).toEqual({ ...log, Url: 'http://****.com', Data: detail });
  });
});

describe('events of a channel', () => {
  it('are another where user, SessionId, tag or time differ', () => {
    const push = aliyunPush('Join');
    const others = [
      push,
      aliyunPush('Leave'),
      aliyunPush('Join', 1),
      aliyunPush('Join', 0, { UserId: 'another' }),
      aliyunPush('Join', 0, { SessionId: 'another' }),
      aliyunPush('Join', 0, { Timestamp: 'soon' }),
      { ...push, ChannelId: 'another' },
    ];
    expect(new Set(others.map((body) => idOf(one(body)))).size).toBe(others.length);
    expect(idOf(one(aliyunPush('JOIN', 0, { Reason: 2, Role: 2, Timestamp: '1697545591000' })))).toBe(idOf(one(push)));
  });

  it('name a user only where it is one’s', () => {
    const channel = {
      ...ALIYUN_PUSH,
      Contents: [{ Event: 'ChannelEvent', ChannelEvent: { EventTag: 'Join', UserId: 'u', Timestamp: 1697545591 } }],
    };
    expect(one(channel).input).toMatchObject({ user_id: '', event: 'join' });
    expect(JSON.parse(stored(one(channel)).detail).Contents).toEqual([{ Event: 'ChannelEvent', ChannelEvent: { UserId: 'u' } }]);
  });

  it('of one push are judged one by one, each with its own detail', () => {
    const [a, b] = [aliyunPush('Join'), aliyunPush('Publish')].map((push) => push.Contents[0]);
    const elements = read({ ...ALIYUN_PUSH, Contents: [a, 7, b] });
    expect(elements.map((e) => (e.ok ? [e.index, e.input.event] : [e.index, e.reason]))).toEqual([
      [0, 'join'],
      [1, 'not_an_object'],
      [2, 'publish'],
    ]);
    for (const e of elements) if (e.ok) expect(JSON.parse(aliyunChannels.describe(e)).Contents).toHaveLength(1);
  });

  it.each([
    ['https://user:pass@host.example:8443/callbacks/aliyun-rtc/s-e-c-r-e-t?x=1', 'https://host.example:8443'],
    ['no url', ''],
  ])('keep no secret of the app’s own URL: %s', (url, kept) => {
    const body = JSON.stringify({ ...JSON.parse(entry()), Url: url });
    expect(JSON.parse(aliyunChannels.describe(one(body))).Url).toBe(kept);
  });

  it('are read again from their row as they were', () => {
    const names = [
      'Data',
      'Url',
      'AppId',
      'ChannelId',
      'ChannelID',
      'Contents',
      'Event',
      'UserEvent',
      'EventTag',
      'UserId',
      'Timestamp',
      'Code',
    ];
    const push = fc.record(
      {
        AppId: fc.constantFrom(ALIYUN_APP, 'xxx', 7),
        ChannelID: fc.constantFrom('9099', 'x', 7),
        MsgId: fc.constantFrom('m', 2 ** 60),
        Log: fc.constant({ Code: 1 }),
        toString: fc.constantFrom('9099', 'x'),
        Contents: fc.array(
          fc.record({
            Event: fc.constantFrom('UserEvent', 'userevent', 'ChannelEvent'),
            UserEvent: fc.record(
              {
                UserId: fc.constantFrom('u', '', 7, null),
                EventTag: fc.constantFrom('Join', 'LEAVE', 'Other'),
                Timestamp: fc.constantFrom(1697545591, '1697545591123', 'soon', null),
                SessionId: fc.constantFrom('s', 8),
                Reason: fc.nat(3),
              },
              { requiredKeys: ['EventTag'] },
            ),
            ChannelEvent: fc.record({ EventTag: fc.constant('Closed'), UserId: fc.constant('u') }),
          }),
          { minLength: 1, maxLength: 3 },
        ),
      },
      { requiredKeys: ['Contents'] },
    );
    const body = fc.oneof(
      push.map((p) => JSON.stringify({ ChannelId: '9099', ...p })),
      push.map((p) => JSON.stringify(p)),
      push.map((p) => entry({ ChannelId: '9099', ...p }, 404)),
      hostileResponses(names, [JSON.stringify(ALIYUN_PUSH), 'Join']).map(({ body: bytes }) => bytes.toString()),
    );
    let seen = 0;
    fc.assert(
      fc.property(body, (text) => {
        for (const element of read(text)) {
          if (!element.ok) continue;
          seen++;
          const again = aliyunChannels.toInputs({
            ...{ source: 'aliyun-rtc', app_id: ALIYUN_APP, received_at: NOW },
            ...aliyunChannels.rebuild(stored(element)),
          });
          expect(again).toMatchObject([{ ok: true, index: 0, key: element.key, input: element.input }]);
          const [first] = again;
          if (first?.ok) expect(stored(first)).toEqual(stored(element));
        }
      }),
      { numRuns: 2_000 },
    );
    expect(seen).toBeGreaterThan(1_000);
  });
});

describe('the webhook', () => {
  const webhook = aliyunChannels.webhook!;

  it('finds app and channel in the body, in either spelling', () => {
    const body = Buffer.from(JSON.stringify(ALIYUN_PUSH));
    expect(webhook.appIdOf('', body)).toBe('xxx');
    expect(webhook.keyOf('app', '', body)).toBe('aliyun:app:9099');
    expect(webhook.keyOf('app', '', Buffer.from('{"ChannelID":9099}'))).toBe('aliyun:app:9099');
    expect(webhook.keyOf('app', '', Buffer.from('{'))).toMatch(/^[0-9a-f]{64}$/);
    for (const text of ['', '{', '[]', '{"AppId":""}', '{"AppId":{}}']) expect(webhook.appIdOf('', Buffer.from(text))).toBeNull();
    expect(webhook.authenticate).toBeUndefined();
  });

  it('is that of a source about channels', () => {
    expect(channelSourceOf('aliyun-rtc')).toBe(aliyunChannels);
    expect(topicsAbout('channel')).toEqual(['callstream.raw.aliyun-rtc']);
  });
});
