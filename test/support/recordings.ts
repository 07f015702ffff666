import fc from 'fast-check';
import { RECORDING_EVENTS, type RecordingInput, type RecordingOmission, type RecordingVideo } from '../../src/domain/recording.js';

/** Builders of recording inputs: everything not given is absent. */

export const T0 = Date.UTC(2026, 0, 15, 10);

export const KEY = { provider: 'tencent', app_id: '1400000001', task_id: 'task-1' } as const;

export const blankInput = (more: Partial<RecordingInput> = {}): RecordingInput => ({
  event: 'OnlineRecordStarted',
  event_at: T0,
  room_id: '',
  group_id: '',
  record_user_id: '',
  record_start_at: null,
  record_stop_at: null,
  pause_at: null,
  estimate_stop_at: null,
  stop_at: null,
  total_ms: 0,
  finish_reason: '',
  exceptions: 0,
  has_error: false,
  error_code: '',
  error_message: '',
  videos: [],
  omitted: [],
  received_at: T0 + 500,
  ...more,
});

export const blankVideo = (more: Partial<RecordingVideo> = {}): RecordingVideo => ({
  user_id: '',
  video_id: '',
  type: '',
  format: '',
  url: '',
  play_time_ms: 0,
  duration_ms: 0,
  size_bytes: 0,
  width: 0,
  height: 0,
  ...more,
});

const moment = fc.option(fc.nat(4).map((s) => T0 + s * 1000));
const text = fc.constantFrom('', '', 'a', 'b', '\u{1f3a5}');
const video: fc.Arbitrary<RecordingVideo> = fc
  .record({ user_id: text, type: fc.constantFrom('camera', 'mixed'), duration_ms: fc.nat(3) })
  .map((v) => blankVideo(v));
const omission: fc.Arbitrary<RecordingOmission> = fc.record({
  video_time_ms: fc.nat(2),
  pause_time_ms: fc.nat(2),
  resume_time_ms: fc.nat(2),
});

/** Inputs of one recording, few enough of each kind to meet again. */
export const recordingInput: fc.Arbitrary<RecordingInput> = fc.record({
  event: fc.constantFrom(...RECORDING_EVENTS),
  event_at: moment,
  room_id: text,
  group_id: text,
  record_user_id: text,
  record_start_at: moment,
  record_stop_at: moment,
  pause_at: moment,
  estimate_stop_at: moment,
  stop_at: moment,
  total_ms: fc.nat(3),
  finish_reason: fc.constantFrom('', 'auto', 'user_call', 'exception'),
  exceptions: fc.nat(2),
  has_error: fc.boolean(),
  error_code: text,
  error_message: text,
  videos: fc.array(video, { maxLength: 2 }),
  omitted: fc.array(omission, { maxLength: 2 }),
  received_at: fc.nat(5_000).map((ms) => T0 + ms),
});
