import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { localCodec } from '../../src/codec/codec.js';
import type { PollCursor, PollTask } from '../../src/codec/generated.js';
import { TOPICS } from '../../src/codec/topics.js';
import { Cursors } from '../../src/poll/cursors.js';
import type { SweepSettings } from '../../src/poll/sweep-range.js';
import { Sweeper } from '../../src/poll/sweeper.js';
import type { QueuedTask } from '../../src/poll/task-queue.js';
import { type TaskResult, TaskRunner } from '../../src/poll/task-runner.js';
import { TIMING } from '../../src/poll/timing.js';
import { systemChance } from '../../src/telemetry/chance.js';
import { type Clock, systemClock } from '../../src/telemetry/clock.js';
import { CallApiVendor, failed } from '../support/call-api-vendor.js';
import { FAST, Stage } from '../support/poll-stage.js';

const BY_ID = 'v1/records/get_record_by_callId';
const FILTER = 'v1/records/get_records_by_filter';
const nowS = (): number => Math.floor(Date.now() / 1000);

let vendor: CallApiVendor;
let stage: Stage;
beforeEach(async () => {
  vendor = await CallApiVendor.start();
  stage = new Stage(vendor.endpoint);
});
afterEach(async () => {
  await stage.close();
  await vendor.stop();
});

const addRecords = (count: number, startCallTs = nowS() - 60): void => {
  for (let n = 0; n < count; n++) vendor.records.push({ callId: `call-${n}`, startCallTs });
};

describe('a walk', () => {
  it('carries every page to its raw topic: exact texts, stable ids, where ingest would put them', async () => {
    addRecords(250);
    expect(await stage.sweepAll()).toEqual({ kind: 'done' });
    const events = stage.events();
    expect(events.map(({ event }) => event.body.toString())).toEqual(vendor.records.map((record) => JSON.stringify(record)));
    expect(events[7]).toMatchObject({
      key: 'tencent:1400000001:call-7',
      event: { source: 'call-record', app_id: '1400000001', auth: 'polled', remote_addr: '', query: '' },
    });
    expect(new Set(events.map(({ event }) => event.id)).size).toBe(250);
    expect(events.every(({ event }) => /^[0-9a-f]{32}$/.test(event.id))).toBe(true);
    expect(vendor.requests(FILTER)).toBe(4);
  });

  it('sends again nothing that Kafka has acknowledged, and waits for Kafka before the next page', async () => {
    addRecords(120);
    stage.kafkaFails = 2;
    await stage.sweepAll();
    expect(stage.written).toHaveLength(120);
    await stage.sweepAll();
    expect(stage.written).toHaveLength(120);
    expect(await stage.metric('callstream_poll_elements_total')).toEqual([
      expect.stringMatching(/published.* 120$/),
      expect.stringMatching(/known.* 120$/),
    ]);
  });

  it('sends once what two sweeps find at the same time', async () => {
    addRecords(90);
    await Promise.all([stage.sweepAll(), stage.sweepAll()]);
    expect(stage.written).toHaveLength(90);
  });

  it('leaves out what no Kafka message could carry, and says so', async () => {
    vendor.whim = () => ({ body: `{"errorCode":0,"data":{"callId":"huge","text":"${'x'.repeat(7.5 * 1024 * 1024)}"}}` });
    expect(await stage.record('huge')).toEqual({ kind: 'done' });
    expect(stage.written).toEqual([]);
    expect(await stage.metric('callstream_poll_elements_total')).toEqual([expect.stringMatching(/too_large.* 1$/)]);
    expect(stage.logged.some((text) => text.includes('larger than Kafka takes'))).toBe(true);
  });

  it('gives the same ids after a restart', async () => {
    addRecords(3);
    await stage.sweepAll();
    const second = new Stage(vendor.endpoint);
    await second.sweepAll();
    expect(second.events().map(({ event }) => event.id)).toEqual(stage.events().map(({ event }) => event.id));
    await second.close();
  });

  it('asks about each user of a call in turn', async () => {
    vendor.rooms.set('room', { createdAt: nowS() - 100, users: new Set(['alice', 'bob']) });
    const task = {
      call_id: 'c',
      room_id: 'room',
      user_id: '',
      users: ['alice', 'bob', 'carol'],
      started_at: Date.now() - 90_000,
      ended_at: Date.now() - 60_000,
    };
    const { source, app } = stage.line('user-event');
    expect(await stage.walk('user-event', source.tasking!.first(app, task, Date.now()))).toEqual({ kind: 'done' });
    expect(stage.events(TOPICS.rawUserEvent).map(({ event }) => event.query)).toEqual([
      expect.stringContaining('user_id=alice'),
      expect.stringContaining('user_id=bob'),
    ]);
    expect([vendor.requests('DescribeRoomInfo'), vendor.requests('DescribeUserEvent')]).toEqual([1, 3]);
  });

  it.each([
    ['a 500', { status: 500, body: 'oops' }],
    ['a broken answer', { body: '{"errorCode":' }],
    ['another page', { body: '<html>' }],
    ['an unknown error', failed(12345)],
    ['a connection that is cut', 'cut' as const],
    ['no answer at all', 'hang' as const],
  ])('gets over %s: the page is asked for again', async (_, whim) => {
    addRecords(150);
    let left = 2;
    vendor.whim = (_, { page }) => (page === 2 && left-- > 0 ? whim : null);
    expect(await stage.sweepAll()).toEqual({ kind: 'done' });
    expect(stage.events()).toHaveLength(150);
    expect(vendor.requests(FILTER)).toBe(5);
  });

  it('ends where a page keeps failing, with the code and no secret', async () => {
    vendor.whim = () => failed(70001);
    expect(await stage.record('x')).toMatchObject({ kind: 'retry', code: '70001', hostFailed: false });
    expect(vendor.requests(BY_ID)).toBe(FAST.retries + 1);
  });

  it('renews an expired UserSig at once, once; if that recurs, a clock is wrong', async () => {
    addRecords(1);
    let left = 1;
    vendor.whim = () => (left-- > 0 ? failed(70003) : null);
    expect(await stage.record('call-0')).toEqual({ kind: 'done' });
    expect(vendor.requests(BY_ID)).toBe(2);
    vendor.whim = () => failed(70003);
    expect(await stage.record('call-0')).toMatchObject({ kind: 'retry', code: '70003' });
  });

  it('slows down when told to, for as long as told', async () => {
    addRecords(1);
    const refusals = [failed(70005), { status: 429, headers: { 'retry-after': '1' }, body: '' }];
    vendor.whim = () => refusals.shift() ?? null;
    const began = performance.now();
    expect(await stage.record('call-0')).toEqual({ kind: 'done' });
    expect(performance.now() - began).toBeGreaterThan(990);
    expect(vendor.requests(BY_ID)).toBe(3);
  });

  it('says that the vendor has nothing yet', async () => {
    expect(await stage.record('nobody')).toMatchObject({ kind: 'not_yet', code: 'absent' });
  });

  it('never asks more in a second than the vendor allows', async () => {
    addRecords(1);
    vendor.whim = () => null;
    const ends = await Promise.all(Array.from({ length: 45 }, () => stage.record('call-0')));
    expect(ends.every(({ kind }) => kind === 'done')).toBe(true);
    expect(vendor.busiestSecond(BY_ID)).toBeLessThanOrEqual(18);
  });
});

describe('a line', () => {
  it('stops at what only a human can put right, says once where, asks now and then, and goes on', async () => {
    addRecords(1);
    vendor.whim = () => failed(50001);
    expect(await stage.record('call-0')).toMatchObject({ kind: 'stop', code: '50001' });
    const line = stage.line('call-record');
    expect(line.stopped).toMatch(/^apps\[0\]\.records: .*package/);
    expect(stage.line('user-event').stopped).toBeNull();
    expect(await stage.metric('callstream_poll_stopped{source="call-record"')).toEqual([expect.stringMatching(/app="1400000001"\} 1$/)]);

    const waiting = stage.record('call-0');
    await delay(100);
    expect(vendor.requests(BY_ID)).toBe(1);
    expect(await waiting).toMatchObject({ kind: 'stop' });
    expect(vendor.requests(BY_ID)).toBe(2);
    expect(stage.logged.filter((text) => text.includes('polling stopped by apps[0].records'))).toHaveLength(1);

    vendor.whim = () => null;
    expect(await stage.record('call-0')).toEqual({ kind: 'done' });
    expect(line.stopped).toBeNull();
    expect(await stage.metric('callstream_poll_stopped{source="call-record"')).toEqual([expect.stringMatching(/ 0$/)]);
  });

  it('leaves a host alone that does not answer, and comes back to it', async () => {
    addRecords(1);
    vendor.whim = () => ({ status: 503, body: '' });
    const walks = Array.from({ length: 8 }, () =>
      stage.walk('call-record', { what: 'call', generation: 'v1', appId: '1400000001', callId: 'call-0' }, 1_000),
    );
    await vi.waitFor(
      async () => expect(await stage.metric('callstream_poll_breaker_open')).toEqual([expect.stringMatching(/ 1$/)]),
      10_000,
    );
    const asked = vendor.requests(BY_ID);
    await delay(700);
    // Half of the first pause has not passed: nobody has asked, but for those who were asking when it opened.
    expect(vendor.requests(BY_ID)).toBeLessThanOrEqual(asked + 8);
    vendor.whim = () => null;
    expect((await Promise.all(walks)).every(({ kind }) => kind === 'done')).toBe(true);
    expect(await stage.metric('callstream_poll_breaker_open')).toEqual([expect.stringMatching(/ 0$/)]);
    expect(stage.logged.filter((text) => text.includes('check endpoint under apps[0].records'))).toHaveLength(1);
  });

  it.each([
    ['http://127.0.0.1:1', /cannot be reached: nothing listens there/],
    ['http://no-such-host.invalid', /cannot be reached: (there is no host of this name|the name cannot be looked up at present)/],
  ])('says of %s what is wrong with it', async (endpoint, message) => {
    const elsewhere = new Stage(endpoint);
    const end = await elsewhere.walk('call-record', { what: 'call', generation: 'v1', appId: '1400000001', callId: 'c' }, 0);
    expect(end).toMatchObject({ kind: 'retry', code: 'unreachable', hostFailed: true, message: expect.stringMatching(message) });
    await elsewhere.close();
  });
});

describe('tasks', () => {
  const settled: [string, TaskResult][] = [];
  const putOff: PollTask[] = [];
  beforeEach(() => {
    settled.length = 0;
    putOff.length = 0;
  });

  function runner(source = 'call-record', timing = FAST): TaskRunner {
    const line = stage.line(source);
    const made = new TaskRunner({
      line,
      tasking: line.source.tasking!,
      outlet: stage.outlet,
      putOff: async (_, task) => void putOff.push(task),
      settled: (entry, result) => void settled.push([entry.task.call_id, result]),
      timing,
      clock: systemClock,
      chance: systemChance,
      logger: stage.logger,
      metrics: stage.metrics,
    });
    void made.run(stage.abort.signal).catch(() => {});
    return made;
  }

  let offset = 0;
  const entry = (call_id: string, more: Partial<PollTask> = {}): QueuedTask => {
    const task: PollTask = {
      kind: 'record',
      provider: 'tencent',
      app_id: '1400000001',
      call_id,
      room_id: '',
      user_id: '',
      started_at: Date.now() - 60_000,
      ended_at: null,
      due_at: Date.now(),
      attempt: 0,
      reason: 'timed_out',
      users: [],
      ...more,
    };
    return { task, key: Buffer.from('k'), partition: 0, offset: offset++, dueAt: task.due_at, rounds: 0 };
  };
  const untilSettled = (count: number) => vi.waitFor(() => expect(settled).toHaveLength(count), 10_000);

  it('are done when they are due, and put off while the vendor has nothing', async () => {
    addRecords(2);
    const tasks = runner();
    tasks.push(entry('call-1', { due_at: Date.now() + 300 }));
    tasks.push(entry('call-0'));
    tasks.push(entry('later', { attempt: 2 }));
    await untilSettled(3);
    expect(settled.at(-1)).toEqual(['call-1', 'done']);
    expect(settled.slice(0, 2).sort()).toEqual([
      ['call-0', 'done'],
      ['later', 'put_off'],
    ]);
    expect(putOff).toEqual([expect.objectContaining({ call_id: 'later', attempt: 3 })]);
    const wait = putOff[0]!.due_at - Date.now();
    expect(wait).toBeGreaterThan(60_000 * 0.85);
    expect(wait).toBeLessThan(60_000 * 1.15);
  });

  it('are asked once where a takeover has read a task and all that it was put off to', async () => {
    const tasks = runner();
    const due = { started_at: Date.now() - 60_000, due_at: Date.now() + 400 };
    for (const attempt of [0, 1, 1, 2]) tasks.push(entry('late', { ...due, attempt }));
    expect(settled).toEqual(Array.from({ length: 3 }, () => ['late', 'superseded']));
    addRecords(1);
    tasks.push(entry('call-0'));
    await untilSettled(5);
    expect(settled.slice(3)).toEqual([
      ['call-0', 'done'],
      ['late', 'put_off'],
    ]);
    expect(putOff).toEqual([expect.objectContaining({ call_id: 'late', attempt: 3 })]);
    expect(vendor.requests(BY_ID)).toBe(2);
  });

  it('that are under way, or done, are no copies of what comes then', async () => {
    const tasks = runner();
    const started_at = Date.now() - 60_000;
    tasks.push(entry('late', { started_at }));
    await untilSettled(1);
    tasks.push(entry('late', { started_at, attempt: 1 }));
    await untilSettled(2);
    expect(settled).toEqual([
      ['late', 'put_off'],
      ['late', 'put_off'],
    ]);
  });

  it('are given up after the last attempt, refused where nothing could be asked, and not asked for beyond the look-back', async () => {
    const records = runner();
    records.push(entry('nobody', { attempt: TIMING.notYet.length }));
    records.push(entry('ancient', { started_at: Date.now() - 8 * 86_400_000 }));
    const media = runner('user-event');
    media.push(entry('roomless', { kind: 'media', users: ['a'] }));
    await untilSettled(3);
    expect(settled.sort()).toEqual([
      ['ancient', 'too_old'],
      ['nobody', 'given_up'],
      ['roomless', 'refused'],
    ]);
    expect(stage.logged.some((text) => /is not asked for: the vendor answers 7 days back/.test(text))).toBe(true);
    expect(vendor.requests(BY_ID)).toBe(1);
  });

  it('come round again after failures, a bounded number of times', async () => {
    addRecords(1);
    vendor.whim = () => failed(70001);
    const tasks = runner('call-record', { ...FAST, retries: 0, rounds: 3 });
    tasks.push(entry('call-0'));
    await untilSettled(1);
    expect(settled).toEqual([['call-0', 'given_up']]);
    expect(vendor.requests(BY_ID)).toBe(3);
  });

  it('wait while their line is stopped, and are done when it goes on', async () => {
    addRecords(3);
    vendor.whim = () => failed(70004);
    const tasks = runner();
    for (const n of [0, 1, 2]) tasks.push(entry(`call-${n}`));
    await vi.waitFor(() => expect(stage.line('call-record').stopped).toMatch(/administrator/), 5_000);
    vendor.whim = () => null;
    await untilSettled(3);
    expect(settled.every(([, result]) => result === 'done')).toBe(true);
  });

  it('are dropped, the oldest first, when more wait than can be done: only those that have waited for an hour', async () => {
    // 18 a second for ten minutes are 10,800 questions.
    const users = Array.from({ length: 5_000 }, (_, n) => `u${n}`);
    vendor.whim = () => ({ body: JSON.stringify({ Response: { Total: 0, RoomList: [] } }) });
    const due = (hours: number) => ({ due_at: Date.now() - hours * 3_600_000, kind: 'media', room_id: 'r', users });
    const tasks = runner('user-event');
    for (const hours of [5, 4, 3, 2]) tasks.push(entry(`${hours}`, due(hours)));
    for (const n of [1, 2]) tasks.push(entry(`fresh ${n}`, due(0.1)));
    await untilSettled(6);
    expect(settled.filter(([, result]) => result === 'dropped').map(([call]) => call)).toEqual(['5', '4', '3']);
  });
});

describe('sweeps', () => {
  const settings: SweepSettings = { sweepEvery: 200, overlap: 60_000, delay: 0, backfillOnStart: 0, maxCall: 3_600_000 };
  const stored: PollCursor[] = [];
  beforeEach(() => {
    stored.length = 0;
  });

  async function sweeper(kind: 'trailing' | 'deep', times = settings, clock: Clock = systemClock): Promise<Sweeper> {
    const line = stage.line('call-record');
    const cursors = await Cursors.load({
      producer: { send: async (records) => void stored.push(...records.map((r) => localCodec(TOPICS.pollCursors).decode(r.value!))) },
      codec: localCodec(TOPICS.pollCursors),
      partitions: 4,
      read: async () => stored,
      confirmed: async () => {},
      environment: stage.environment,
      clock,
      metrics: stage.metrics,
    });
    const { outlet, timing, logger, metrics } = stage;
    const common = { line, sweeping: line.source.sweeping!, scope: '', kind, settings: times, cursors, outlet, timing, logger, metrics };
    return new Sweeper({ ...common, clock, chance: systemChance });
  }
  const run = (made: Sweeper): void => void made.run(stage.abort.signal).catch(() => {});

  it('find what callbacks never told, again and again, with a cursor that moves on', async () => {
    // Well within the first sweep, which reaches back a minute from a moment after this one.
    addRecords(2, nowS() - 30);
    run(await sweeper('trailing'));
    await vi.waitFor(() => expect(stage.events()).toHaveLength(2), 5_000);
    vendor.records.push({ callId: 'new', startCallTs: nowS() - 2 });
    await vi.waitFor(() => expect(stage.events()).toHaveLength(3), 5_000);
    await vi.waitFor(() => expect(stored.length).toBeGreaterThan(3), 5_000);
    const swept = stored.map((cursor) => cursor.swept_to);
    expect(swept).toEqual([...swept].sort((a, b) => a - b));
    expect(stored[0]).toMatchObject({ source: 'call-record', app_id: '1400000001', sweep: 'trailing', scope: '' });
    expect(Date.now() - swept.at(-1)!).toBeLessThan(5_000);
  });

  it('wait for the next moment that the vendor knows, when they come more often than that', async () => {
    run(await sweeper('trailing', { ...settings, sweepEvery: 20 }));
    const began = Date.now();
    await vi.waitFor(() => expect(stored.length).toBeGreaterThan(2), 10_000);
    // Records are asked for by the second.
    expect(vendor.requests(FILTER)).toBeLessThanOrEqual(Math.ceil((Date.now() - began) / 1_000) + 2);
  });

  it('write no cursor for what has failed, and heal by themselves', async () => {
    vendor.whim = () => failed(70001);
    run(await sweeper('trailing'));
    await vi.waitFor(() => expect(vendor.requests(FILTER)).toBeGreaterThan(FAST.retries + 2), 10_000);
    expect(stored).toEqual([]);
    addRecords(1, nowS() - 30);
    vendor.whim = () => null;
    await vi.waitFor(() => expect(stored.length).toBeGreaterThan(0), 5_000);
    expect(stage.events()).toHaveLength(1);
  });

  it('go on from the cursor after a pause, and tell once what was lost to it', async () => {
    const old = Date.now() - 9 * 86_400_000;
    stored.push({ source: 'call-record', app_id: '1400000001', sweep: 'trailing', scope: '', swept_to: old, updated_at: old });
    addRecords(1, nowS() - 5 * 86_400);
    run(await sweeper('trailing'));
    await vi.waitFor(() => expect(Date.now() - stored.at(-1)!.swept_to).toBeLessThan(5_000), 5_000);
    expect(stage.events()).toHaveLength(1);
    expect(stored.length).toBeGreaterThan(7);
    expect(stage.logged.filter((text) => text.includes('is lost to polling'))).toHaveLength(1);
    const [lost] = await stage.metric('callstream_poll_lost_seconds_total{');
    expect(Number(lost?.split(' ').at(-1))).toBeCloseTo(2 * 86_400 + 120, -2);
  });

  const cursorOf = (swept_to: number): PollCursor => ({
    source: 'call-record',
    app_id: '1400000001',
    sweep: 'trailing',
    scope: '',
    swept_to,
    updated_at: swept_to,
  });

  it('ask for all that the vendor remembers when their cursor was written by a clock that was wrong, and set it right', async () => {
    stored.push(cursorOf(Date.now() + 30 * 86_400_000));
    addRecords(1, nowS() - 5 * 86_400);
    run(await sweeper('trailing'));
    await vi.waitFor(() => expect(Math.abs(Date.now() - stored.at(-1)!.swept_to)).toBeLessThan(5_000), 5_000);
    expect(stage.events()).toHaveLength(1);
    expect(await stage.metric('callstream_poll_lost_seconds_total{')).toEqual([]);
  });

  it('go on from the cursor before that one, where the topic still has it', async () => {
    stored.push(cursorOf(Date.now() - 7_200_000), cursorOf(Date.now() + 30 * 86_400_000));
    addRecords(1, nowS() - 7_000);
    addRecords(1, nowS() - 5 * 86_400);
    run(await sweeper('trailing'));
    await vi.waitFor(() => expect(stored.length).toBeGreaterThan(2), 5_000);
    expect(stage.events()).toHaveLength(1);
  });

  it.each([-3_600_000, 3_600_000])('are no less often, nor more, when the clock is set by %i ms', async (by) => {
    let shift = 0;
    run(await sweeper('trailing', { ...settings, sweepEvery: 1_000 }, { now: () => Date.now() + shift }));
    await vi.waitFor(() => expect(vendor.requests(FILTER)).toBeGreaterThan(0), 5_000);
    shift = by;
    const [asked, swept, began] = [vendor.requests(FILTER), stored.length, performance.now()];
    await vi.waitFor(() => expect(stored.length).toBeGreaterThan(swept + 1), 10_000);
    shift = 0;
    await vi.waitFor(() => expect(Math.abs(Date.now() - stored.at(-1)!.swept_to)).toBeLessThan(3_000), 10_000);
    // Pieces of a day and their pages: the vendor remembers a week.
    expect(vendor.requests(FILTER) - asked).toBeLessThan(8 * ((performance.now() - began) / 1_000 + 2));
  });

  it('look deep for calls that began long ago, and not again before it is time', async () => {
    addRecords(1, nowS() - 5_000);
    run(await sweeper('deep'));
    await vi.waitFor(() => expect(stored).toHaveLength(1), 5_000);
    expect(stage.events()).toHaveLength(1);
    expect(stored[0]!.sweep).toBe('deep');
    const asked = vendor.requests(FILTER);
    run(await sweeper('deep'));
    await delay(400);
    expect(vendor.requests(FILTER)).toBe(asked);
  });
});
