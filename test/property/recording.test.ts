import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  deriveRecording,
  emptyRecording,
  type RecordingInput,
  type RecordingState,
  recordingFirstSeen,
  withInput,
} from '../../src/domain/recording.js';
import { blankInput, KEY, recordingInput, T0 } from '../support/recordings.js';

const fold = (inputs: readonly RecordingInput[]): RecordingState => inputs.reduce(withInput, emptyRecording(KEY));
const facts = (...inputs: RecordingInput[]) => deriveRecording(fold(inputs));
const at = (second: number, event: RecordingInput['event'], more: Partial<RecordingInput> = {}) =>
  blankInput({ event, event_at: T0 + second * 1000, received_at: T0 + second * 1000 + 500, ...more });

describe('a recording', () => {
  it('is the same record for any order, repetition and batching of its inputs', () => {
    fc.assert(
      fc.property(
        fc.array(recordingInput, { minLength: 1, maxLength: 12 }).chain((inputs) =>
          fc.record({
            inputs: fc.constant(inputs),
            shuffled: fc.shuffledSubarray(inputs, { minLength: inputs.length }),
            again: fc.shuffledSubarray([...inputs, ...inputs]),
            cut: fc.nat(inputs.length),
          }),
        ),
        ({ inputs, shuffled, again, cut }) => {
          const all = fold(inputs);
          expect(fold(shuffled)).toEqual(all);
          expect(fold([...again, ...shuffled])).toEqual(all);
          expect(deriveRecording(fold(shuffled))).toEqual(deriveRecording(all));
          // Folded apart and put together.
          expect(fold(inputs.slice(cut)).inputs.reduce(withInput, fold(inputs.slice(0, cut)))).toEqual(all);
          for (const input of inputs) expect(withInput(all, input)).toBe(all);
          expect(recordingFirstSeen(all)).toBe(Math.min(...inputs.map((i) => i.received_at)));
          const warnings = inputs.filter((i) => i.event === 'OnlineRecordLongPauseWarning').map((i) => i.event_at);
          expect(deriveRecording(all).pauses).toBe(new Set(warnings).size);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('never sinks in rank, whatever is added', () => {
    const rank = { recording: 0, paused: 0, stopped: 1, finished: 2, failed: 2 };
    fc.assert(
      fc.property(fc.array(recordingInput, { minLength: 1, maxLength: 8 }), recordingInput, (inputs, one) => {
        const before = fold(inputs);
        expect(rank[deriveRecording(withInput(before, one)).status]).toBeGreaterThanOrEqual(rank[deriveRecording(before).status]);
      }),
    );
  });

  it('is paused only while a warning is the latest that is known of it', () => {
    const started = at(0, 'OnlineRecordStarted');
    const warning = at(10, 'OnlineRecordLongPauseWarning');
    expect(facts(started).status).toBe('recording');
    expect(facts(warning, started)).toMatchObject({ status: 'paused', pauses: 1 });
    expect(facts(at(20, 'OnlineRecordStarted'), warning, started)).toMatchObject({ status: 'recording', pauses: 1 });
    expect(facts(started, warning, at(20, 'OnlineRecordLongPauseWarning'))).toMatchObject({ status: 'paused', pauses: 2 });
    // Of one moment, the warning is the later.
    expect(facts(at(0, 'OnlineRecordLongPauseWarning'), started).status).toBe('paused');
    // An event of unknown time took place when it arrived.
    const unknown = blankInput({ event: 'OnlineRecordLongPauseWarning', event_at: null, received_at: T0 + 5_000 });
    expect(facts(started, unknown).status).toBe('paused');
    expect(facts(at(6, 'OnlineRecordStarted'), unknown).status).toBe('recording');
  });

  it('is stopped by either stop, and set going again by no later warning', () => {
    for (const event of ['OnlineRecordStopped', 'OnlineRecordLongPauseForceStopped'] as const)
      expect(facts(at(5, event), at(9, 'OnlineRecordLongPauseWarning'))).toMatchObject({ status: 'stopped', pauses: 1 });
  });

  it.each([
    [{ finish_reason: 'user_call' }, 'finished'],
    [{ finish_reason: 'force_stop' }, 'finished'],
    [{ finish_reason: '' }, 'finished'],
    [{ finish_reason: 'exception' }, 'failed'],
    [{ finish_reason: 'auto', has_error: true }, 'failed'],
  ] as const)('that ends with %j is %s', (more, status) => {
    expect(facts(at(5, 'OnlineRecordFinished', more), at(9, 'OnlineRecordStopped')).status).toBe(status);
  });

  it('takes its result as a whole from the latest Finished', () => {
    const early = at(5, 'OnlineRecordFinished', { has_error: true, error_code: 'E', total_ms: 9, exceptions: 3 });
    const late = at(6, 'OnlineRecordFinished', { finish_reason: 'auto', total_ms: 7 });
    expect(facts(late, early)).toMatchObject({ status: 'finished', finish_reason: 'auto', total_ms: 7, exceptions: 0, error_code: '' });
  });

  it('starts and stops when the vendor says so in the end; until then, when it was reported', () => {
    const started = at(0, 'OnlineRecordStarted');
    const stopped = at(20, 'OnlineRecordStopped');
    const finished = at(40, 'OnlineRecordFinished');
    const told = { record_start_at: T0 + 1_000, record_stop_at: T0 + 19_000 };
    const forced = at(30, 'OnlineRecordLongPauseForceStopped', { stop_at: T0 + 29_000 });
    // The vendor gives a StopTime to forced stops alone.
    expect(facts(at(20, 'OnlineRecordStopped', { stop_at: T0 + 29_000 })).stopped_at).toBe(T0 + 20_000);
    const times = (...inputs: RecordingInput[]) => {
      const { started_at, stopped_at } = facts(...inputs);
      return [started_at, stopped_at].map((t) => (t === null ? null : (t - T0) / 1000));
    };
    expect(times(started)).toEqual([0, null]);
    expect(times(at(9, 'OnlineRecordLongPauseWarning'))).toEqual([null, null]);
    expect(times(started, stopped)).toEqual([0, 20]);
    expect(times(started, forced)).toEqual([0, 29]);
    expect(times(started, finished)).toEqual([0, 40]);
    expect(times(started, stopped, { ...finished, ...told })).toEqual([1, 19]);
    expect(times(finished)).toEqual([null, 40]);
  });

  it('merges differing bodies of one event as those of callbacks', () => {
    const one = at(5, 'OnlineRecordFinished', {
      room_id: 'b',
      record_start_at: T0,
      record_stop_at: T0 + 1,
      total_ms: 3,
      finish_reason: 'exception',
      received_at: T0 + 9,
      omitted: [{ video_time_ms: 2, pause_time_ms: 0, resume_time_ms: 0 }],
    });
    const other = at(5, 'OnlineRecordFinished', {
      room_id: 'a',
      record_start_at: T0 + 1,
      record_stop_at: T0,
      total_ms: 4,
      finish_reason: 'user_call',
      received_at: T0 + 8,
      has_error: true,
      omitted: [{ video_time_ms: 1, pause_time_ms: 0, resume_time_ms: 0 }],
    });
    expect(fold([one, other]).inputs).toEqual([
      { ...other, record_start_at: T0, record_stop_at: T0 + 1, finish_reason: 'exception', has_error: true },
    ]);
  });

  it('names rooms and users as the earliest event that has any', () => {
    const inputs = [
      at(0, 'OnlineRecordStarted'),
      at(1, 'OnlineRecordStopped', { room_id: 'r', record_user_id: 'u' }),
      at(2, 'OnlineRecordFinished', { room_id: 'other', group_id: 'g' }),
    ];
    expect(facts(...inputs)).toMatchObject({ room_id: 'r', record_user_id: 'u', group_id: 'g' });
  });
});
