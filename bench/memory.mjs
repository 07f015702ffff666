/** Bytes that one ringing two-party call takes in the sessions worker's state: heap and buffers after a full collection. Run with --expose-gc. */
import { localCodec } from '../dist/codec/codec.js';
import { TOPICS } from '../dist/codec/topics.js';
import { SessionsProcessor } from '../dist/workers/sessions/processor.js';
import { calls, rawEvent } from './traffic.mjs';

const N = 100_000;
const T0 = 1_700_000_000_000;
const codecs = {
  raw: localCodec(TOPICS.rawTuicallkit),
  call: localCodec(TOPICS.calls),
  deadLetter: localCodec(TOPICS.deadLetters),
  task: localCodec(TOPICS.tasks),
};
const settings = {
  ringTimeout: 120_000,
  maxCall: 43_200_000,
  settle: 30_000,
  retention: 7_200_000,
  maxCallsPerTask: 1e9,
  hasRecordsApi: () => false,
  hasMediaApi: () => false,
  userEvents: 'abnormal',
  recordSample: 0,
};
const processor = new SessionsProcessor({
  partition: 0,
  partitions: 4,
  settings,
  codecs,
  failures: { ok() {}, failed() {} },
  lookup: async () => new Map(),
  suspects: new Set(),
});
await processor.restored(null);

const used = () => {
  globalThis.gc();
  const m = process.memoryUsage();
  return m.heapUsed + m.external;
};
const before = used();
let offset = 0;
let written = 0;
for (const call of calls(N, 5_000, T0)) {
  for (const [at, body] of call.slice(0, 2)) {
    const value = codecs.raw.encode(rawEvent('1400000001', at, body));
    processor.process({ topic: TOPICS.rawTuicallkit.name, partition: 0, offset: offset++, timestamp: at, key: null, value }, () => T0);
  }
  if (offset % 5_000 === 0) {
    const { outputs } = processor.flush(T0);
    processor.committed(written);
    written += outputs.length;
  }
}
processor.flush(T0);
processor.committed(written);
console.log(JSON.stringify({ calls: processor.table.size, bytes_per_open_call: (used() - before) / processor.table.size }));
