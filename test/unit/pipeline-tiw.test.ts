import { afterEach, beforeEach, expect, it } from 'vitest';
import { Chunk } from '../../src/clickhouse/index.js';
import { TOPICS } from '../../src/codec/topics.js';
import { tiw } from '../../src/sources/tiw.js';
import { TopologyDriver } from '../../src/stream/topology-driver.js';
import type { TaskContext } from '../../src/stream/types.js';
import { EventsProcessor } from '../../src/workers/events/processor.js';
import { RecordingsProcessor } from '../../src/workers/recordings/processor.js';
import { signed, TIW_EXAMPLES, TIW_EXPIRES, TIW_KEY } from '../support/tiw-examples.js';
import { codecs } from '../support/worker-kit.js';
import { type Harness, startHarness } from './ingest-kit.js';

const RAW = TOPICS.rawTiw.name;
const clock = { now: () => TIW_EXPIRES };
let ingest: Harness;
beforeEach(async () => {
  const apps = [{ provider: 'tencent', appId: '1400000001', tiwCallbackKey: TIW_KEY, callbackSecret: 's' }] as const;
  ingest = await startHarness({ apps }, { sources: [tiw.webhook!], clock });
});
afterEach(() => ingest.close());

/** The records that a worker makes of everything that ingest has taken. */
async function run(outputTopic: string, createProcessor: (context: TaskContext) => EventsProcessor | RecordingsProcessor) {
  const driver = await TopologyDriver.open({ inputs: [RAW], outputTopic, restores: false, partitions: 1, clock, createProcessor });
  for (const { topic, key, event } of ingest.kafka.deliveries)
    driver.append(topic, { partition: 0, key, value: codecs.raw.encode(event), timestamp: TIW_EXPIRES });
  await driver.drain();
  return driver;
}

it("carries every example of the vendor's page from the door to the rows, and accounts for what is no recording", async () => {
  const bodies = [...Object.values(TIW_EXAMPLES), TIW_EXAMPLES.stopped, { ...TIW_EXAMPLES.started, EventType: 'WhiteboardPushStarted' }];
  for (const body of bodies) expect((await ingest.post('/callbacks/tiw/s', JSON.stringify(signed(body)))).status).toBe(200);
  expect((await ingest.post('/callbacks/tiw/s', 'garbage')).status).toBe(200);
  expect((await ingest.post('/callbacks/tiw/s', JSON.stringify(TIW_EXAMPLES.started))).status).toBe(403);

  const events = await run(TOPICS.callEvents.name, ({ partition, failures }) => new EventsProcessor({ partition, codecs, failures }));
  const recordings = await run(TOPICS.recordings.name, ({ partition, failures }) => {
    const lookup = async () => new Map<string, Buffer>();
    return new RecordingsProcessor({ partition, partitions: 1, retention: 1_000, codecs, lookup, failures });
  });

  const records = recordings.records(TOPICS.recordings.name).map((r) => codecs.recording.decode(r.value!));
  expect(records).toMatchObject([
    {
      ...{ provider: 'tencent', app_id: '1400000001', task_id: 'bj0mt2l23osdj300hl30', revision: 1, room_id: '1253' },
      ...{
        record_user_id: 'tic_record_user_1253_01',
        status: 'stopped',
        pauses: 1,
        total_ms: 0,
        finish_reason: '',
        videos: [],
        omitted: [],
      },
      // Not the time of the report, but that of the stop.
      ...{ started_at: 1_575_545_412_000, stopped_at: 1_575_546_412_000, inputs: { length: 4 } },
    },
    {
      // Both endings of the page have one time, so they are one event: what either knows of it counts.
      ...{
        task_id: 'ghucnligqtgtvk2624mb',
        revision: 1,
        room_id: '880528',
        group_id: '880528',
        status: 'failed',
        finish_reason: 'exception',
      },
      ...{ total_ms: 18_317, error_code: 'FailedOperation.Record', started_at: 1_568_949_369_000, stopped_at: 1_590_045_606_000 },
      ...{ videos: { length: 4 }, inputs: { length: 1 } },
    },
  ]);

  const shown = events.records(TOPICS.callEvents.name).map((r) => codecs.callEvent.decode(r.value!));
  expect(shown.map((e) => [e.call_id, e.event])).toEqual([
    ['recording:bj0mt2l23osdj300hl30', 'OnlineRecordStarted'],
    ['recording:bj0mt2l23osdj300hl30', 'OnlineRecordStopped'],
    ['recording:ghucnligqtgtvk2624mb', 'OnlineRecordFinished'],
    ['recording:ghucnligqtgtvk2624mb', 'OnlineRecordFinished'],
    ['recording:bj0mt2l23osdj300hl30', 'OnlineRecordLongPauseWarning'],
    ['recording:bj0mt2l23osdj300hl30', 'OnlineRecordLongPauseForceStopped'],
    ['recording:bj0mt2l23osdj300hl30', 'OnlineRecordStopped'],
  ]);
  expect(new Set(shown.map((e) => e.event_id)).size).toBe(5);
  expect(shown.some((e) => e.detail.includes('Sign'))).toBe(false);
  const letters = events.records(TOPICS.deadLetters.name).map((r) => codecs.deadLetter.decode(r.value!));
  expect(letters.map((d) => [d.stage, d.reason, d.source])).toEqual([
    ['parse', 'unknown_event', 'tiw'],
    ['parse', 'not_json', 'tiw'],
  ]);
  expect(letters[1]!.body.toString()).toBe('garbage');
  expect(recordings.records(TOPICS.deadLetters.name)).toEqual([]);

  const chunk = new Chunk();
  for (const r of recordings.records(TOPICS.recordings.name)) chunk.addRecording(codecs.recording.decode(r.value!), r.value!);
  for (const e of shown) chunk.addEvent(e);
  for (const d of letters) chunk.addDeadLetter(d);
  expect(chunk.tables().map((t) => [t.table, t.rows])).toEqual([
    ['recordings_latest', 2],
    ['call_event_rows', 7],
    // Every delivery that was answered 200.
    ['deliveries', 9],
    ['dead_letter_rows', 2],
  ]);
});
