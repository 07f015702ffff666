import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveRecording, emptyRecording, RECORDING_EVENTS, withInput } from '../../src/domain/recording.js';
import { readRecording } from '../../src/simulator/truth/read-recording.js';
import { type RecordingInput, truthOfRecording } from '../../src/simulator/truth/recording.js';
import { tiw } from '../../src/sources/tiw.js';

/*
 * The product's reading and folding of recordings against the simulator's truth: two implementations of semantics.md "Recordings" that share no code. The
 * callbacks are such as no vendor would send: few moments, fields in events that do not have them, bodies that contradict each other.
 */
const APP = '1400000001';
const BEGIN = Date.UTC(2026, 5, 10, 18);

const moment = fc.constantFrom<unknown>(BEGIN / 1000, BEGIN / 1000 + 1, BEGIN + 2_500, `${BEGIN / 1000 + 3}`, 0, undefined, 'soon');
const text = fc.constantFrom<unknown>('', 'a', 'b', 7, '\u{1f3a5}', undefined, null);
const number = fc.constantFrom<unknown>(0, 1, 18_317, '5', -1, 2.5, undefined);
const video = fc.record({
  UserId: text,
  VideoId: text,
  VideoType: fc.constantFrom<unknown>(0, 2, '4', 9, 'constructor', undefined),
  VideoFormat: fc.constantFrom('mp4', ''),
  VideoPlayTime: number,
  VideoDuration: number,
  Width: number,
});
const omission = fc.record({ VideoTime: number, PauseTime: number, ResumeTime: number });
const lists = <T>(one: fc.Arbitrary<T>) =>
  fc.oneof(fc.constantFrom<unknown>(undefined, [], 'none', [null, 1]), fc.array(one, { maxLength: 2 }));
const callback = fc
  .record(
    {
      EventType: fc.constantFrom(...RECORDING_EVENTS, 'onlinerecordfinished'),
      Timestamp: moment,
      RoomId: text,
      GroupId: text,
      RecordUserId: text,
      RecordStartTime: moment,
      RecordStopTime: moment,
      PauseTime: moment,
      EstimateStopTime: moment,
      StopTime: moment,
      TotalTime: number,
      FinishReason: fc.constantFrom('USER_CALL', 'auto', 'EXCEPTION', '', 7),
      ExceptionCnt: number,
      Error: fc.constantFrom<unknown>(undefined, undefined, null, '', {}, { Code: 'FailedOperation.Record', Message: 'm' }, { Code: 4 }),
      VideoInfos: lists(video),
      OmittedDurations: lists(omission),
    },
    { requiredKeys: ['EventType'] },
  )
  .map(({ EventType, Timestamp, ...data }) => ({ EventType, Timestamp, SdkAppId: 1, EventData: { TaskId: 't', ...data } }));
const arrivals = fc.array(fc.record({ body: callback, received: fc.nat(5).map((s) => BEGIN + s * 1000) }), { minLength: 1, maxLength: 8 });

describe('the fold of recordings and the truth', () => {
  it('agree about recordings that no vendor would make', () => {
    fc.assert(
      fc.property(arrivals, (list) => {
        const inputs: RecordingInput[] = [];
        let state = emptyRecording({ provider: 'tencent', app_id: APP, task_id: 't' });
        for (const { body: fields, received: received_at } of list) {
          const body = Buffer.from(JSON.stringify(fields));
          const reading = readRecording(body);
          if (reading.kind === 'dead') throw new Error(reading.why);
          inputs.push({ reading, received_at });
          const [element] = tiw.toInputs({ source: 'tiw', app_id: APP, query: '', body, received_at });
          if (!element?.ok) throw new Error(element?.error);
          state = withInput(state, element.input);
        }
        const { task_id: _taskId, ...expected } = truthOfRecording(inputs);
        expect(deriveRecording(state)).toEqual(expected);
        expect(truthOfRecording([...inputs].reverse())).toMatchObject(expected);
      }),
      { numRuns: 5_000 },
    );
  });
});
