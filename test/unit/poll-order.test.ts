import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { localCodec } from '../../src/codec/codec.js';
import type { PollCursor, PollTask } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import { Cursors } from '../../src/poll/cursors.js';
import { Sweeper } from '../../src/poll/sweeper.js';
import { TaskRunner } from '../../src/poll/task-runner.js';
import type { PolledElement } from '../../src/sources/polled.js';
import type { OutputRecord } from '../../src/stream/types.js';
import { systemChance } from '../../src/telemetry/chance.js';
import { systemClock } from '../../src/telemetry/clock.js';
import { CallApiVendor } from '../support/call-api-vendor.js';
import { FAST, Stage } from '../support/poll-stage.js';

/* What comes before what: a cursor, or the offset of a task, moves only when all that it stands for is acknowledged. */

const APP = '1400000001';
let vendor: CallApiVendor;
let stage: Stage;
/** What has happened, in order. */
let happened: string[];

beforeEach(async () => {
  vendor = await CallApiVendor.start();
  stage = new Stage(vendor.endpoint);
  happened = [];
});
afterEach(async () => {
  await stage.close();
  await vendor.stop();
});

/** Long enough for all that waits for nothing but promises. */
async function aWhile(): Promise<void> {
  for (let turns = 0; turns < 50; turns += 1) await turn();
}
/** Kafka takes its time to acknowledge. */
function slowKafka(): void {
  stage.producer.send = async (records: readonly OutputRecord[]) => {
    await aWhile();
    stage.written.push(...records);
    happened.push('acknowledged');
  };
}
const cursorsOf = (read: readonly PollCursor[] = [], confirmed = async (): Promise<void> => {}) =>
  Cursors.load({
    producer: { send: async () => void happened.push('cursor') },
    codec: localCodec(TOPICS.pollCursors),
    partitions: 4,
    read: async () => read,
    confirmed,
    environment: stage.environment,
    clock: systemClock,
    metrics: stage.metrics,
  });
const common = () => ({ clock: systemClock, chance: systemChance, logger: stage.logger, metrics: stage.metrics, timing: FAST });
const publish = (signal: AbortSignal, ...ids: string[]): Promise<void> => {
  const elements = ids.map((id): PolledElement => ({ key: id, query: '', body: `{"callId":"${id}"}` }));
  return stage.outlet.publish(stage.line('call-record').source, APP, elements, signal);
};

describe('the poller, sweeping,', () => {
  it('writes the cursor of a sweep only when Kafka has all that it found', async () => {
    for (let n = 0; n < 3; n += 1) vendor.records.push({ callId: `call-${n}`, startCallTs: Math.floor(Date.now() / 1000) - 60 });
    slowKafka();
    const line = stage.line('call-record');
    const sweeper = new Sweeper({
      ...common(),
      line,
      sweeping: line.source.sweeping!,
      scope: '',
      kind: 'trailing',
      settings: { sweepEvery: 3_600_000, overlap: 120_000, delay: 0, backfillOnStart: 0, maxCall: 3_600_000 },
      cursors: await cursorsOf(),
      outlet: stage.outlet,
    });
    void sweeper.run(stage.abort.signal).catch(() => {});
    await vi.waitFor(() => expect(happened).toHaveLength(2), 5_000);
    expect(happened).toEqual(['acknowledged', 'cursor']);
  });

  it('waits for what another sweep has on its way', async () => {
    slowKafka();
    const { signal } = stage.abort;
    const first = publish(signal, 'a', 'b').then(() => happened.push('first'));
    const second = publish(signal, 'b').then(() => happened.push('second'));
    await Promise.all([first, second]);
    expect(happened[0]).toBe('acknowledged');
    expect(stage.written).toHaveLength(2);
  });

  it('finds again what it could not send', async () => {
    const { send } = stage.producer;
    stage.producer.send = () => Promise.reject(new Error('of no use any more'));
    await expect(publish(stage.abort.signal, 'a')).rejects.toThrow('of no use any more');
    stage.producer.send = send;
    await publish(stage.abort.signal, 'a');
    expect(stage.written).toHaveLength(1);
  });
});

describe('the poller, with its cursors,', () => {
  const key = { source: 'call-record', app_id: APP, sweep: 'trailing', scope: '' };
  const cursor = (swept_to: number): PollCursor => ({ ...key, swept_to, updated_at: 0 });

  it('never moves a cursor back', async () => {
    const cursors = await cursorsOf();
    await cursors.advance(key, 2_000, stage.abort.signal);
    await cursors.advance(key, 1_000, stage.abort.signal);
    expect(cursors.get(key)?.swept_to).toBe(2_000);
    expect(happened).toEqual(['cursor']);
  });

  it('begins at the furthest cursor, whoever wrote last', async () => {
    expect((await cursorsOf([cursor(2_000), cursor(1_000)])).get(key)?.swept_to).toBe(2_000);
    expect((await cursorsOf([cursor(1_000), cursor(2_000)])).get(key)?.swept_to).toBe(2_000);
  });

  it('writes no cursor before the group has counted it in once more', async () => {
    const confirmed = async (): Promise<void> => {
      await aWhile();
      happened.push('confirmed');
    };
    const cursors = await cursorsOf([], confirmed);
    await cursors.advance(key, 1_000, stage.abort.signal);
    await cursors.advance(key, 2_000, stage.abort.signal);
    expect(happened).toEqual(['confirmed', 'cursor', 'confirmed', 'cursor']);
  });
});

describe('the poller, with its tasks,', () => {
  function run(callId: string): void {
    const line = stage.line('call-record');
    const runner = new TaskRunner({
      ...common(),
      line,
      tasking: line.source.tasking!,
      outlet: stage.outlet,
      putOff: async () => {
        await aWhile();
        happened.push('put off');
      },
      settled: (_, result) => happened.push(`settled: ${result}`),
    });
    const now = Date.now();
    const task: PollTask = {
      ...{ kind: 'record', provider: 'tencent', app_id: APP, call_id: callId, room_id: '', user_id: '', users: [] },
      ...{ started_at: now - 60_000, ended_at: null, due_at: now, attempt: 0, reason: 'timed_out' },
    };
    runner.push({ task, key: Buffer.from('k'), partition: 0, offset: 0, dueAt: now, rounds: 0 });
    void runner.run(stage.abort.signal).catch(() => {});
  }

  it('is done with a task only when Kafka has what it asked for', async () => {
    vendor.records.push({ callId: 'call', startCallTs: Math.floor(Date.now() / 1000) - 60 });
    slowKafka();
    run('call');
    await vi.waitFor(() => expect(happened.length).toBeGreaterThan(1), 5_000);
    expect(happened).toEqual(['acknowledged', 'settled: done']);
  });

  it('is done with a task that is put off only when its successor is published', async () => {
    run('nobody');
    await vi.waitFor(() => expect(happened).toHaveLength(2), 5_000);
    expect(happened).toEqual(['put off', 'settled: put_off']);
  });
});
