import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TOPICS } from '../../src/codec/topics.js';
import { tuicallkit } from '../../src/sources/tuicallkit.js';
import type { InputRecord, OutputRecord } from '../../src/stream/types.js';
import { EventsProcessor } from '../../src/workers/events/processor.js';
import { codecs } from '../support/worker-kit.js';

const T0 = 1_700_000_000_000;
const failures = { ok: vi.fn(), failed: vi.fn() };
let processor: EventsProcessor;

beforeEach(() => {
  failures.ok.mockReset();
  failures.failed.mockReset();
  observe.mockClear();
  processor = new EventsProcessor({ partition: 2, codecs, failures });
});
afterEach(() => {
  vi.restoreAllMocks();
});

const START = {
  CallId: 'c',
  UserId: 'a',
  Event: 'start_call',
  EventTime: T0 / 1000,
  TotalNum: 2,
  CallType: 'single',
  MediaType: 'audio',
  RoomId: 'r',
  Role: 'caller',
};

const delivery = (body: Buffer | object, source = 'tuicallkit'): Buffer =>
  codecs.raw.encode({
    id: 'd',
    source,
    app_id: '1',
    received_at: T0 + 5,
    auth: 'app',
    remote_addr: '',
    query: '',
    body: Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body)),
  });

const record = (value: Buffer, offset = 7): InputRecord => ({
  topic: TOPICS.rawTuicallkit.name,
  partition: 2,
  offset,
  timestamp: T0 + 9,
  key: Buffer.from('the key'),
  value,
  headers: {},
});

const letters = (outputs: OutputRecord[]) =>
  outputs.filter((o) => o.topic === TOPICS.deadLetters.name).map((o) => ({ ...codecs.deadLetter.decode(o.value!) }));

/** Stream time is of no concern here. */
const observe = vi.fn((_receivedAt: number | null) => T0);

describe('the events worker', () => {
  it('writes one event per input, to its own partition only (rule 1)', () => {
    processor.process(record(delivery(START)), observe);
    expect(observe.mock.calls).toEqual([[T0 + 5]]);
    processor.process(record(delivery({ ...START, CallId: '' }), 8), observe);
    const { outputs, processed } = processor.flush();
    expect(outputs.map(({ topic, partition }) => [topic, partition])).toEqual([
      [TOPICS.callEvents.name, 2],
      [TOPICS.deadLetters.name, 2],
    ]);
    expect(codecs.callEvent.decode(outputs[0]!.value!)).toMatchObject({
      call_id: 'c',
      event: 'start_call',
      raw_partition: 2,
      raw_offset: 7,
    });
    expect(processed).toEqual({ events: 1, dead: 1 });
    expect(processor.flush()).toEqual({ outputs: [], processed: {} });
  });

  it('keeps the bytes of what cannot be decoded in its dead letter, and counts it (rule 10)', () => {
    const bytes = Buffer.from([0, 0, 0, 0, 1, 255, 254, 253]);
    processor.process(record(bytes), observe);
    expect(observe.mock.calls).toEqual([[null]]);
    processor.process(record(delivery(START)), observe);
    const { outputs } = processor.flush();
    expect(letters(outputs)).toMatchObject([
      {
        stage: 'decode',
        reason: 'avro_invalid',
        received_at: T0 + 9,
        origin_topic: TOPICS.rawTuicallkit.name,
        origin_partition: 2,
        origin_offset: 7,
        origin_index: -1,
        key: 'the key',
        body: bytes,
      },
    ]);
    expect(outputs).toHaveLength(2);
    expect(failures.failed.mock.calls).toEqual([['decode']]);
    expect(failures.ok).toHaveBeenCalledTimes(1);
  });

  it('takes an exception of the source for a data error of that input alone, and counts it (rule 10)', () => {
    vi.spyOn(tuicallkit, 'toInputs').mockImplementationOnce(() => {
      throw new TypeError('a bug');
    });
    processor.process(record(delivery(START)), observe);
    expect(observe.mock.calls).toEqual([[T0 + 5]]);
    processor.process(record(delivery(START), 8), observe);
    const { outputs } = processor.flush();
    expect(letters(outputs)).toMatchObject([
      { stage: 'fold', reason: 'exception', error: 'TypeError: a bug', origin_offset: 7, body: Buffer.from(JSON.stringify(START)) },
    ]);
    expect(outputs).toHaveLength(2);
    expect(failures.failed.mock.calls).toEqual([['fold']]);
  });

  it('never counts bodies that a source calls unreadable: anyone can post garbage (rule 10)', () => {
    for (const body of [Buffer.from('garbage'), Buffer.from([0xff]), {}, { ...START, Event: 'unheard_of' }])
      processor.process(record(delivery(body)), observe);
    expect(letters(processor.flush().outputs).map(({ stage, reason }) => [stage, reason])).toEqual([
      ['parse', 'not_json'],
      ['parse', 'not_utf8'],
      ['parse', 'no_call_id'],
      ['parse', 'unknown_event'],
    ]);
    expect(failures.failed).not.toHaveBeenCalled();
    expect(failures.ok).toHaveBeenCalledTimes(4);
  });

  it('reports a source that it does not know', () => {
    processor.process(record(delivery(START, 'of_tomorrow')), observe);
    expect(letters(processor.flush().outputs)).toMatchObject([{ stage: 'parse', reason: 'unknown_source', source: 'of_tomorrow' }]);
  });
});
