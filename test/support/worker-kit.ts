import { localCodec } from '../../src/codec/codec.js';
import { TOPICS } from '../../src/codec/topics.js';
import type { SessionSettings } from '../../src/workers/sessions/settings.js';

/** Codecs of what workers read and write, without a registry. */
export const codecs = {
  raw: localCodec(TOPICS.rawTuicallkit),
  call: localCodec(TOPICS.calls),
  callEvent: localCodec(TOPICS.callEvents),
  recording: localCodec(TOPICS.recordings),
  deadLetter: localCodec(TOPICS.deadLetters),
  task: localCodec(TOPICS.tasks),
};

/** Timeouts short enough to wait for, of apps that have every API. */
export const SESSION_SETTINGS: SessionSettings = {
  ringTimeout: 5_000,
  maxCall: 60_000,
  settle: 2_000,
  retention: 10_000,
  maxCallsPerTask: 1e6,
  hasRecordsApi: () => true,
  hasMediaApi: () => true,
  userEvents: 'abnormal',
  recordSample: 0,
};
