import { describe, expect, it } from 'vitest';
import type { RawEvent } from '../../src/codec/generated.js';
import { recordingCallId, taskIdOf } from '../../src/domain/key.js';
import type { RecordingInput } from '../../src/domain/recording.js';
import type { Element } from '../../src/sources/element.js';
import { tiw } from '../../src/sources/tiw.js';
import type { WebhookApp } from '../../src/sources/webhook.js';
import type { InputRecord } from '../../src/stream/types.js';
import { recordingEvent } from '../../src/workers/events/call-event.js';
import { signed, TIW_EXAMPLES, TIW_EXPIRES, TIW_KEY, TIW_VECTOR, tiwSign } from '../support/tiw-examples.js';

const RECEIVED = 1_575_545_413_000;
const APP = '1400000001';
const { started, stopped, finished, failed, warning, force_stopped: forced } = TIW_EXAMPLES;

const bytesOf = (body: string | Buffer | object): Buffer =>
  Buffer.isBuffer(body) ? body : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
const read = (body: string | Buffer | object): Element<'recording'> => {
  const elements = tiw.toInputs({ source: 'tiw', app_id: APP, received_at: RECEIVED, query: '', body: bytesOf(body) });
  expect(elements).toHaveLength(1);
  return elements[0]!;
};
const input = (body: string | object): RecordingInput => {
  const e = read(body);
  if (!e.ok) throw new Error(e.error);
  return e.input;
};

describe('TIW recording callbacks', () => {
  it("reads every example of the vendor's page", () => {
    expect(read(started)).toMatchObject({
      ok: true,
      index: 0,
      key: { provider: 'tencent', app_id: APP, task_id: 'bj0mt2l23osdj300hl30' },
      input: {
        event: 'OnlineRecordStarted',
        event_at: 1_575_545_412_000,
        room_id: '1253',
        record_user_id: 'tic_record_user_1253_01',
        received_at: RECEIVED,
      },
    });
    expect(input(stopped)).toMatchObject({ event: 'OnlineRecordStopped', event_at: 1_575_545_412_000 });
    expect(input(finished)).toMatchObject({
      event: 'OnlineRecordFinished',
      group_id: '880528',
      finish_reason: 'user_call',
      record_start_at: 1_568_949_369_000,
      record_stop_at: 1_568_949_392_000,
      total_ms: 18_317,
      exceptions: 0,
      has_error: false,
      omitted: [],
    });
    expect(input(finished).videos.map((v) => [v.type, v.user_id, v.play_time_ms, v.duration_ms, v.size_bytes])).toEqual([
      ['camera', 'Mac_trtc_04', 0, 17_969, 593_418],
      ['mixed', 'tic_mixstream_880528_101', 3, 18_205, 765_545],
      ['mixed', 'tic_mixstream_880528_3', 95, 18_222, 402_038],
      ['whiteboard', '', 623, 17_605, 226_337],
    ]);
    expect(input(failed)).toMatchObject({
      finish_reason: 'exception',
      record_start_at: null,
      record_stop_at: 1_590_045_606_000,
      has_error: true,
      error_code: 'FailedOperation.Record',
      error_message: 'code: 40001, msg: 2020-05-21 15:20:06, invalid userid\\n',
    });
    expect(input(warning)).toMatchObject({ pause_at: 1_575_545_412_000, estimate_stop_at: 1_575_546_412_000 });
    expect(input(forced)).toMatchObject({ pause_at: 1_575_545_412_000, stop_at: 1_575_546_412_000 });
  });

  it('keeps omitted durations in their milliseconds, and videos with fields that the page leaves out', () => {
    const data = {
      ...finished.EventData,
      OmittedDurations: [{ VideoTime: 5_000, PauseTime: 1_568_949_374_123, ResumeTime: 1_568_949_380_456 }, 'odd', null],
      VideoInfos: [{ VideoType: 4, VideoFormat: 'mp3', Width: 1280, Height: 720 }, { VideoType: 9 }, 7],
    };
    const { omitted, videos } = input({ ...finished, EventData: data });
    expect(omitted).toEqual([{ video_time_ms: 5_000, pause_time_ms: 1_568_949_374_123, resume_time_ms: 1_568_949_380_456 }]);
    expect(videos).toMatchObject([
      { type: 'audio', format: 'mp3', width: 1280, height: 720 },
      { type: '9', user_id: '', url: '' },
    ]);
  });

  it.each([
    ['not JSON', '{"EventType":', 'not_json'],
    ['an array', '[]', 'not_an_object'],
    ['empty', '', 'not_json'],
    ['nested too deep', `{"a":${'['.repeat(200)}${']'.repeat(200)}}`, 'too_deep'],
    ['not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'not_utf8'],
    ['without an EventType', { ...started, EventType: '' }, 'no_event'],
    ['of the transcoding', { ...started, EventType: 'PPT2H5ProgressChanged' }, 'unknown_event'],
    ['of the whiteboard push', { ...started, EventType: 'WhiteboardPushStarted' }, 'unknown_event'],
    ['of an EventType that is a number', { ...started, EventType: 7 }, 'unknown_event'],
    ['of another family, without a TaskId', { ...started, EventType: 'X', EventData: {} }, 'unknown_event'],
    ['without a TaskId', { ...started, EventData: { ...started.EventData, TaskId: undefined } }, 'no_task_id'],
    ['with an EventData that is no object', { ...started, EventData: 'x' }, 'no_task_id'],
    ['with a TaskId only lent by __proto__', '{"EventType":"OnlineRecordStarted","EventData":{"__proto__":{"TaskId":"x"}}}', 'no_task_id'],
  ])('makes a dead letter of a body that is %s', (_name, body, reason) => {
    expect(read(body)).toMatchObject({ ok: false, reason });
  });

  it('keeps every digit of ids, and compares the EventType without case', () => {
    const text = JSON.stringify({ ...started, EventType: 'onlinerecordSTARTED' }).replace('1253,', '144115212830834855,');
    expect(input(text)).toMatchObject({ event: 'OnlineRecordStarted', room_id: '144115212830834855' });
  });

  it('takes odd values for absent ones', () => {
    const data = { ...finished.EventData, TotalTime: -1, ExceptionCnt: 'many', VideoInfos: {}, OmittedDurations: 'none', Error: null };
    expect(input({ ...finished, Timestamp: 'soon', EventData: data })).toMatchObject({
      event_at: null,
      total_ms: 0,
      exceptions: 0,
      videos: [],
      omitted: [],
      has_error: false,
    });
    expect(input({ ...finished, EventData: { ...finished.EventData, Error: {} } })).toMatchObject({ has_error: true, error_code: '' });
  });
});

describe('a row of call_events', () => {
  const rowOf = (body: string | object) => {
    const element = read(body);
    if (!element.ok) throw new Error(element.error);
    const raw = { source: 'tiw', app_id: APP, received_at: RECEIVED } as RawEvent;
    return recordingEvent(element, tiw, { topic: 't', partition: 1, offset: 2 } as InputRecord, raw);
  };

  it('stands under a call id that is no call, and keeps no signature', () => {
    const row = rowOf(warning);
    expect(row).toMatchObject({
      call_id: 'recording:bj0mt2l23osdj300hl30',
      room_id: '1253',
      user_id: 'tic_record_user_1253_01',
      event: 'OnlineRecordLongPauseWarning',
      event_at: 1_575_545_412_000,
      raw_topic: 't',
      raw_partition: 1,
      raw_offset: 2,
    });
    expect(JSON.parse(row.detail)).toEqual({ EventData: { PauseTime: 1_575_545_412, EstimateStopTime: 1_575_546_412 } });
    expect(taskIdOf(recordingCallId('x:y'))).toBe('x:y');
  });

  it('has the same event_id for every delivery of one event, and another for another', () => {
    const id = rowOf(started).event_id;
    expect(rowOf({ ...started, EventData: { ...started.EventData, RoomId: 7 }, ExpireTime: 1 }).event_id).toBe(id);
    expect(rowOf(stopped).event_id).not.toBe(id);
    expect(rowOf({ ...started, Timestamp: started.Timestamp + 1 }).event_id).not.toBe(id);
  });

  it('can be rebuilt into what reads as the same input', () => {
    const big = JSON.stringify(finished).replace('{', '{"Big":12345678901234567890,"__proto__":{"x":1},');
    for (const body of [...Object.values(TIW_EXAMPLES), { ...warning, Timestamp: 'soon', Extra: { a: [1.5] } }, big]) {
      const row = rowOf(body);
      const { body: rebuilt } = tiw.rebuild(row);
      expect(input(rebuilt.toString())).toEqual(input(body));
      expect({ ...rowOf(rebuilt.toString()), detail: '' }).toEqual({ ...row, detail: '' });
    }
  });
});

describe('at the door, TIW', () => {
  const webhook = tiw.webhook!;
  const app: WebhookApp = { provider: 'tencent', appId: APP, tiwCallbackKey: TIW_KEY };
  const sign = (body: string | Buffer | object, now = TIW_EXPIRES, own = app) =>
    webhook.authenticate!({ query: '', headers: {}, body: bytesOf(body) }, own, now);

  it("knows the vendor's vector", () => {
    expect(tiwSign(TIW_KEY, TIW_VECTOR.ExpireTime)).toBe(TIW_VECTOR.Sign);
    expect(sign({ ...started, ...TIW_VECTOR }, TIW_VECTOR.ExpireTime * 1000)).toBe(true);
    // The examples of the page keep that Sign with another ExpireTime.
    expect(sign(started)).toBe(false);
    expect(tiwSign(TIW_KEY, started.ExpireTime)).toBe('2c4e38a55a8864696ec6b7021ab8487c');
  });

  it('takes a signature until it expires, also one whose ExpireTime is a string', () => {
    for (const body of Object.values(TIW_EXAMPLES)) expect(sign(signed(body))).toBe(true);
    expect(sign({ ...signed(started), ExpireTime: String(started.ExpireTime) })).toBe(true);
    expect(sign({ ...signed(started), Sign: signed(started).Sign.toUpperCase() })).toBe(true);
    expect(sign(signed(started), TIW_EXPIRES + 1)).toBe(false);
    expect(sign(signed(started, 'other'))).toBe(false);
  });

  it.each([
    ['Sign', undefined],
    ['Sign', 5],
    ['Sign', '2c4e'],
    ['ExpireTime', undefined],
    ['ExpireTime', null],
    ['ExpireTime', 'never'],
    ['ExpireTime', started.ExpireTime + 1],
  ])('refuses a body with the %s %j', (name, value) => {
    expect(sign({ ...signed(started), [name]: value })).toBe(false);
  });

  it('does not take the key alone for a signature without an ExpireTime', () => {
    expect(sign({ ...started, ExpireTime: '', Sign: tiwSign(TIW_KEY, '' as never) })).toBe(false);
  });

  it('asks for no signature of an app without a key', () => {
    expect(sign(started, TIW_EXPIRES, { provider: 'tencent', appId: APP })).toBeNull();
  });

  it('says so when the body names neither app nor signature', () => {
    for (const body of ['junk', '', '[1]', '{}', { EventType: 'OnlineRecordStarted' }]) expect(sign(body)).toBe('unreadable');
    expect(sign({ Sign: 'x' })).toBe(false);
    expect(sign({ SdkAppId: 1_400_000_001 })).toBe(false);
  });

  it('finds the app and the task in the body', () => {
    expect(webhook.appIdOf('', bytesOf(started))).toBe(APP);
    expect(webhook.appIdOf('sdkappid=1', bytesOf({ ...started, SdkAppId: '' }))).toBeNull();
    expect(webhook.appIdOf('', bytesOf('junk'))).toBeNull();
    expect(webhook.keyOf(APP, '', bytesOf(started))).toBe(`tencent:${APP}:bj0mt2l23osdj300hl30`);
    expect(webhook.keyOf(APP, '', bytesOf('junk'))).toMatch(/^[0-9a-f]{64}$/);
    expect(webhook.keyOf(APP, '', bytesOf({ ...started, EventData: [] }))).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.parse(webhook.successBody('', bytesOf(started)))).toEqual({ error_code: 0 });
  });
});
