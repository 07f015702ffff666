/** Throughput of the stream workers and the sink over a prepared backlog, and of restoring state. */
import { TOPICS } from '../dist/codec/topics.js';
import { joinKey } from '../dist/domain/key.js';
import { SOURCES } from '../dist/sources/registry.js';
import { partitionOf } from '../dist/stream/partition.js';
import { APP, committed, drain, PARTITIONS, until } from './lab.mjs';
import { calls, events, rawEvent } from './traffic.mjs';

const RAW = TOPICS.rawTuicallkit;
const INPUTS = [...SOURCES.map((s) => s.topic), TOPICS.rawLate.name];

/** Writes a backlog of raw events as ingest does; returns how many. */
async function backlog(lab, source) {
  const codec = await lab.codec(RAW);
  let batch = [];
  let n = 0;
  let pending = Promise.resolve();
  for (const [at, body] of source) {
    const key = joinKey({ provider: 'tencent', app_id: APP, call_id: body.CallId });
    batch.push({ topic: RAW.name, partition: partitionOf(key, PARTITIONS), key, value: codec.encode(rawEvent(APP, at, body)) });
    n++;
    if (batch.length === 5_000) {
      await pending;
      pending = lab.producer.send(batch);
      batch = [];
    }
  }
  await pending;
  if (batch.length > 0) await lab.producer.send(batch);
  return n;
}

/** A backlog of whole calls at 2,000 events per second of vendor time, ending now. */
export async function fillBacklog(lab, total) {
  const rate = 2_000;
  return backlog(lab, events(total, rate, Date.now() - (total / rate) * 1000));
}

export const benchSessions = (lab, total) => drain(lab, ['sessions'], 'callstream-sessions', INPUTS, total);

export const benchEvents = (lab, total) => drain(lab, ['events'], 'callstream-events', INPUTS.slice(0, -1), total);

/** The sink over the revisions that the sessions worker has published; transaction markers count as offsets, so records are counted in ClickHouse. */
export async function benchSink(lab) {
  const role = await lab.role(['sink'], { wait: false });
  const rows = async () => Number((await lab.query('SELECT count() FROM call_revisions'))[0][0]);
  const ends = async () => {
    const lag = await lab.admin.offsets.lag('callstream-sink', [TOPICS.calls.name]);
    return lag.get(TOPICS.calls.name);
  };
  const first = await until('first rows', rows, { every: 10 });
  const from = { at: performance.now(), ...role.usage() };
  await until('the sink to be idle', async () => (await ends()) === 0, { every: 20 });
  const seconds = (performance.now() - from.at) / 1000;
  const now = role.usage();
  const records = (await rows()) - first;
  await role.stop();
  return {
    records,
    seconds,
    per_second: records / seconds,
    cpu_s_per_million: ((now.cpu - from.cpu) / records) * 1e6,
    peak_rss: now.peak,
  };
}

/** Restore: a worker with many ringing calls is killed, and the next one reads its state back. */
export async function benchRestore(lab, openCalls) {
  const starts = function* () {
    for (const call of calls(openCalls, openCalls / 30, Date.now() - 30_000)) yield call[0];
  };
  const before = await committed(lab, 'callstream-sessions', INPUTS);
  const n = await backlog(lab, starts());
  const first = await lab.role(['sessions']);
  await until('the open calls to be folded', async () => (await committed(lab, 'callstream-sessions', INPUTS)) >= before + n, {
    within: 900_000,
  });
  await first.stop('SIGKILL');
  const second = await lab.role(['sessions']);
  const text = await (await fetch(`${second.admin}/metrics`)).text();
  const value = (name) =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+]+)$`, 'gm'))].reduce((sum, m) => sum + Number(m[1]), 0);
  const records = value('callstream_task_restored_records_total');
  // The tasks restore side by side, through one consumer: each takes about as long as all of them together.
  const seconds = value('callstream_task_restore_seconds_total') / PARTITIONS;
  const { rss } = second.usage();
  await second.stop();
  return { records, seconds, per_second: records / seconds, rss, bytes_per_call: rss / openCalls };
}
