import { afterEach, beforeEach, expect, it } from 'vitest';
import { Chunk } from '../../src/clickhouse/index.js';
import { localCodec } from '../../src/codec/codec.js';
import type { RawEvent } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import { aliyunChannels } from '../../src/sources/aliyun-channels.js';
import { aliyunRtc } from '../../src/sources/aliyun-rtc.js';
import { TopologyDriver } from '../../src/stream/topology-driver.js';
import type { TaskContext } from '../../src/stream/types.js';
import { ChannelsProcessor } from '../../src/workers/channels/processor.js';
import { EventsProcessor } from '../../src/workers/events/processor.js';
import { ALIYUN_APP, ALIYUN_PUSH, aliyunPage, aliyunPush } from '../support/aliyun-example.js';
import { type Harness, startHarness } from './ingest-kit.js';

const RAW = TOPICS.rawAliyunRtc.name;
const codecs = {
  raw: localCodec(TOPICS.rawAliyunRtc),
  call: localCodec(TOPICS.calls),
  callEvent: localCodec(TOPICS.callEvents),
  deadLetter: localCodec(TOPICS.deadLetters),
};
const SETTINGS = { channelGap: 300_000, maxCall: 43_200_000, settle: 30_000, retention: 7_200_000 };
const LEFT_AT = 1_697_545_591_000;
const PLAN = { appId: ALIYUN_APP, subscribeId: 'ad53276431c****', from: LEFT_AT - 591_000, to: LEFT_AT + 9_000, page: 1 };

let now: number;
let ingest: Harness;
beforeEach(async () => {
  now = LEFT_AT + 1_000;
  const apps = [{ provider: 'aliyun', appId: ALIYUN_APP, callbackSecret: 's' }] as const;
  ingest = await startHarness({ apps }, { sources: [aliyunChannels.webhook!], clock: { now: () => now } });
});
afterEach(() => ingest.close());

/** What a poll of the log finds on a page, as the raw topic has it. */
function polled(page: string): { key: string; event: RawEvent }[] {
  const answer = aliyunRtc.readResponse(200, {}, Buffer.from(page), PLAN);
  if (answer.kind !== 'page') throw new Error(answer.message);
  return answer.elements.map(({ key, query, body }) => {
    const event = { id: 'p', source: aliyunRtc.name, app_id: ALIYUN_APP, received_at: now, auth: 'poll', remote_addr: '', query };
    return { key, event: { ...event, body: Buffer.from(body) } };
  });
}

const push = async (body: object | string): Promise<void> => {
  const response = await ingest.post('/callbacks/aliyun-rtc/s', typeof body === 'string' ? body : JSON.stringify(body));
  expect(response.status).toBe(200);
};

/** The records that a worker makes of all deliveries. */
async function run(
  deliveries: readonly { key: string; event: RawEvent }[],
  outputTopic: string,
  outputShare: number,
  createProcessor: (context: TaskContext) => EventsProcessor | ChannelsProcessor,
) {
  const clock = { now: () => now };
  const driver = await TopologyDriver.open({
    inputs: [RAW],
    outputTopic,
    outputShare,
    restores: false,
    partitions: 1,
    clock,
    createProcessor,
  });
  for (const { key, event } of deliveries)
    driver.append(RAW, { partition: 0, key, value: codecs.raw.encode(event), timestamp: event.received_at });
  await driver.drain();
  await driver.advance(now + SETTINGS.channelGap);
  return driver;
}

it("carries the example of the vendor's page from door and poll to the rows, as one event, and accounts for every delivery", async () => {
  await push(aliyunPush('Leave'));
  now += 60_000;
  // The push of the Join never arrived; the log tells of it twice.
  const polls = [aliyunPage(), aliyunPage(aliyunPush('Join', 600), 503), aliyunPage(aliyunPush('Join', 600), 503)].flatMap(polled);
  await push('garbage');
  const deliveries = [...ingest.kafka.deliveries.slice(0, 1), ...polls, ...ingest.kafka.deliveries.slice(1)];
  expect(new Set(deliveries.slice(0, -1).map(({ key }) => key))).toEqual(new Set([`aliyun:${ALIYUN_APP}:9099`]));

  const events = await run(
    deliveries,
    TOPICS.callEvents.name,
    0,
    ({ partition, failures }) => new EventsProcessor({ partition, codecs, failures }),
  );
  const shown = events.records(TOPICS.callEvents.name).map((r) => codecs.callEvent.decode(r.value!));
  expect(shown.map((e) => [e.call_id, e.room_id, e.user_id, e.event, e.event_at, e.polled, e.undelivered])).toEqual([
    ['channel:9099', '9099', 'linux_test', 'leave', LEFT_AT, false, false],
    ['channel:9099', '9099', 'linux_test', 'leave', LEFT_AT, true, false],
    ['channel:9099', '9099', 'linux_test', 'join', LEFT_AT - 600_000, true, true],
    ['channel:9099', '9099', 'linux_test', 'join', LEFT_AT - 600_000, true, true],
  ]);
  expect(shown[1]!.event_id).toBe(shown[0]!.event_id);
  expect(new Set(shown.map((e) => e.event_id)).size).toBe(2);
  expect(JSON.parse(shown[1]!.detail)).toMatchObject({
    ...{ SubId: 'ad53276431c****', MessageId: '875d5266cbabb1834cc84a105cf6****', Cost: 22, Time: '2023-10-17 20:26:31.988', Code: 200 },
    Data: {
      MsgId: ALIYUN_PUSH.MsgId,
      Contents: [{ UserEvent: { SessionId: 'je7y2sBZJZQ0VBJZrh4LnBkxvGH2WyVs', Reason: 1, TerminalType: 6 } }],
    },
  });
  const letters = events.records(TOPICS.deadLetters.name).map((r) => codecs.deadLetter.decode(r.value!));
  expect(letters.map((d) => [d.stage, d.reason, d.source])).toEqual([['parse', 'not_json', 'aliyun-rtc']]);

  const sessions = await run(deliveries, TOPICS.calls.name, 1, ({ partition, failures }) => {
    const lookup = async () => new Map<string, Buffer[]>();
    return new ChannelsProcessor({ partition, partitions: 1, settings: SETTINGS, codecs, lookup, failures, suspects: new Set() });
  });
  const calls = sessions.records(TOPICS.calls.name).map((r) => codecs.call.decode(r.value!));
  expect(calls.at(-1)).toMatchObject({
    ...{ provider: 'aliyun', app_id: ALIYUN_APP, call_id: `channel:9099:${shown[0]!.event_id}`, room_id: '9099', call_type: 'channel' },
    ...{ status: 'ended', outcome: 'unknown', started_at: LEFT_AT - 600_000, ended_at: LEFT_AT, accepted_at: null, missed: false },
    ...{ callees: ['linux_test'], total_users: 1, sources: ['channel'], channel_events: { length: 2 } },
  });
  expect(sessions.records(TOPICS.deadLetters.name)).toEqual([]);

  const chunk = new Chunk();
  for (const c of calls) chunk.addCall(c, codecs.call.encode(c));
  for (const e of shown) chunk.addEvent(e);
  for (const d of letters) chunk.addDeadLetter(d);
  expect(chunk.tables().map((t) => [t.table, t.rows])).toEqual([
    ['calls_latest', 1],
    ['call_revisions', calls.length],
    ['call_event_rows', 4],
    ['deliveries', 5],
    ['dead_letter_rows', 1],
  ]);
});
