import fc from 'fast-check';
import { expect, it } from 'vitest';
import { localCodec } from '../../src/codec/codec.js';
import { packRecording, unpackRecording } from '../../src/codec/recording-record.js';
import { TOPICS } from '../../src/codec/topics.js';
import { deriveRecording, emptyRecording, withInput } from '../../src/domain/recording.js';
import { KEY, recordingInput } from '../support/recordings.js';

it('a Recording carries the inputs it was derived from: what comes back is the same state, and takes what it has for known', () => {
  const codec = localCodec(TOPICS.recordings);
  const publication = { revision: 3, first_seen_at: 1, updated_at: 2, last_change_at: 3 };
  fc.assert(
    fc.property(fc.array(recordingInput, { minLength: 1, maxLength: 8 }), (inputs) => {
      const state = inputs.reduce(withInput, emptyRecording(KEY));
      const record = codec.decode(codec.encode(packRecording(state, deriveRecording(state), publication)));
      expect(record).toMatchObject({ ...KEY, status: deriveRecording(state).status, revision: 3 });
      const back = unpackRecording(record);
      expect(back).toEqual({ state, publication });
      expect(JSON.stringify(back.state.inputs.map((i) => i.videos))).toBe(JSON.stringify(state.inputs.map((i) => i.videos)));
      for (const input of inputs) expect(withInput(back.state, input)).toBe(back.state);
    }),
  );
});
