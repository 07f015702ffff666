import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PollTask } from '../../src/codec/generated.js';
import { Acknowledged } from '../../src/poll/acknowledged.js';
import { Breaker } from '../../src/poll/breaker.js';
import { Budget, type Lane } from '../../src/poll/budget.js';
import { Complaints } from '../../src/poll/complaints.js';
import { Pace } from '../../src/poll/pace.js';
import { periodOf, rangeOf, type SweepSettings } from '../../src/poll/sweep-range.js';
import { piecesOf } from '../../src/poll/sweeper.js';
import { TaskCopies } from '../../src/poll/task-copies.js';
import { TaskLedger } from '../../src/poll/task-ledger.js';
import { type QueuedTask, TaskQueue } from '../../src/poll/task-queue.js';
import { aliyunRtc } from '../../src/sources/aliyun-rtc.js';
import { about, JitteredBackoff } from '../../src/stream/jittered-backoff.js';
import { chooseOwner } from '../../src/stream/sole-owner.js';
import type { Chance } from '../../src/telemetry/chance.js';
import { systemClock } from '../../src/telemetry/clock.js';

const MINUTE = 60_000;
const HOUR = 3_600_000;
const DAY = 86_400_000;
const always = (value: number): Chance => ({ next: () => value, nonce: () => '0'.repeat(32) });

/** Sends as fast as the pace lets it, over `forMs` of virtual time; `latency` gives each request's way there and back. Returns when each reached the vendor. */
function arrivals(perSecond: number, forMs: number, latency: (n: number) => { there: number; back: number }): number[] {
  const pace = new Pace(perSecond);
  const reached: number[] = [];
  const answers: number[] = [];
  for (let now = 0, n = 0; now <= forMs; ) {
    const wait = pace.wait(now);
    const next = Math.min(...answers, Number.POSITIVE_INFINITY);
    if (wait === 0) {
      const { there, back } = latency(n);
      pace.sent(now);
      reached.push(now + there);
      answers.push(now + there + back);
      n += 1;
    } else if (next <= now + wait) {
      answers.splice(answers.indexOf(next), 1);
      now = Math.max(now, next);
      pace.answered(now);
    } else now += wait;
  }
  return reached.sort((a, b) => a - b);
}

/** Most that fall into any half-open second. */
const busiest = (times: readonly number[]): number =>
  Math.max(0, ...times.map((from) => times.filter((at) => at >= from && at < from + 1_000).length));

describe('the pace', () => {
  it('keeps within the limit in any second of the vendor, however long requests are under way', () => {
    const ms = fc.integer({ min: 0, max: 4_000 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.record({ there: ms, back: ms }), { minLength: 1, maxLength: 50 }),
        (limit, ways) => {
          expect(busiest(arrivals(limit, 15_000, (n) => ways[n % ways.length]!))).toBeLessThanOrEqual(limit);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('is nearly reached by a vendor that answers at once', () => {
    expect(arrivals(18, 60_000, () => ({ there: 5, back: 5 })).length).toBeGreaterThan(60 * 17);
  });

  it('spaces requests, and knows rates below one a second', () => {
    const times = arrivals(0.5, 20_000, () => ({ there: 0, back: 0 }));
    expect(times.length).toBeGreaterThan(8);
    expect(Math.min(...times.slice(2).map((at, i) => at - times[i + 1]!))).toBeGreaterThanOrEqual(2_000);
    expect(
      Math.min(...arrivals(10, 3_000, () => ({ there: 0, back: 0 })).flatMap((at, i, all) => (i < 2 ? [] : [at - all[i - 2]!]))),
    ).toBeGreaterThanOrEqual(100);
  });

  it('waits for an answer when every place is taken, and pauses when told to', () => {
    const pace = new Pace(1);
    pace.sent(0);
    expect(pace.wait(5_000)).toBe(Number.POSITIVE_INFINITY);
    pace.answered(5_000);
    expect(pace.wait(5_000)).toBeGreaterThanOrEqual(1_000);
    pace.pause(9_000);
    expect(pace.wait(6_500)).toBe(2_500);
    expect(pace.wait(9_000)).toBe(0);
  });
});

describe('a budget', () => {
  const { signal } = new AbortController();

  it('gives sweeps and tasks their turns while both wait', async () => {
    const budget = new Budget(new Pace(200), systemClock);
    const order: Lane[] = [];
    const ask = (lane: Lane) =>
      budget.turn(lane, signal).then((answered) => {
        order.push(lane);
        answered();
      });
    await Promise.all([...Array.from({ length: 8 }, () => ask('sweep')), ask('task'), ask('task')]);
    expect(order.indexOf('task')).toBeLessThan(4);
    expect(order.lastIndexOf('task')).toBeLessThan(6);
  });

  it('forgets who does not wait any more, and waits as long as it was told to', async () => {
    const budget = new Budget(new Pace(50), systemClock);
    budget.pause(60);
    const began = performance.now();
    const leaving = new AbortController();
    const left = budget.turn('task', leaving.signal);
    const stayed = budget.turn('task', signal);
    leaving.abort(new Error('gone'));
    await expect(left).rejects.toThrow('gone');
    (await stayed)();
    expect(performance.now() - began).toBeGreaterThan(55);
    await expect(budget.turn('task', leaving.signal)).rejects.toThrow('gone');
  });
});

describe('pauses', () => {
  it('grow with full jitter, and begin anew', () => {
    const most = new JitteredBackoff(100, 1_000, always(1));
    expect([1, 2, 3, 4, 5, 6].map(() => most.next())).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    most.reset();
    expect(most.next()).toBe(100);
    expect(new JitteredBackoff(100, 1_000, always(0)).next()).toBe(0);
    expect([about(1_000, always(0)), about(1_000, always(0.5))]).toEqual([900, 1_000]);
  });
});

describe('the breaker', () => {
  const open = (): Breaker => {
    const breaker = new Breaker(always(1));
    for (let n = 0; n < 4; n++) expect(breaker.failed(0)).toBe(false);
    expect(breaker.wait(0)).toBe(0);
    expect(breaker.failed(0)).toBe(true);
    return breaker;
  };

  it('opens after failures in a row, not after as many with a success between', () => {
    expect(open().wait(0)).toBeGreaterThan(0);
    const shaky = new Breaker(always(1));
    for (let n = 0; n < 50; n++) expect([shaky.failed(n), shaky.succeeded()]).toEqual([false, false]);
  });

  it('lets one request through after its pause, and closes when that succeeds', () => {
    const breaker = open();
    const wait = breaker.wait(0);
    expect(breaker.wait(wait)).toBe(0);
    breaker.enter();
    expect(breaker.wait(wait)).toBeGreaterThan(0);
    expect(breaker.succeeded()).toBe(true);
    expect([breaker.open, breaker.wait(wait)]).toEqual([false, 0]);
  });

  it('pauses longer each time, up to a bound; late answers of before change nothing', () => {
    const breaker = open();
    expect(breaker.failed(0)).toBe(false);
    const pauses: number[] = [];
    let now = 0;
    for (let n = 0; n < 12; n++) {
      const wait = breaker.wait(now);
      pauses.push(wait);
      now += wait;
      breaker.enter();
      expect(breaker.failed(now)).toBe(false);
    }
    expect(pauses[1]).toBeGreaterThan(pauses[0]!);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(62_000);
    expect(pauses.at(-1)).toBe(pauses.at(-2));
  });

  it('lets another one through when the one told nothing', () => {
    const breaker = open();
    const wait = breaker.wait(0);
    breaker.enter();
    breaker.left();
    expect(breaker.wait(wait)).toBe(0);
  });
});

const task = (more: Partial<PollTask> = {}): PollTask => ({
  kind: 'record',
  provider: 'tencent',
  app_id: '1',
  call_id: 'c',
  room_id: '',
  user_id: '',
  started_at: null,
  ended_at: null,
  due_at: 0,
  attempt: 0,
  reason: 'timed_out',
  users: [],
  ...more,
});
const queued = (dueAt: number, more: Partial<PollTask> = {}): QueuedTask => ({
  task: task(more),
  key: Buffer.from('k'),
  partition: 0,
  offset: dueAt,
  dueAt,
  rounds: 0,
});

describe('the queue', () => {
  it('gives tasks in the order of their due times, none before', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 })), (dues) => {
        const queue = new TaskQueue();
        for (const due of dues) queue.push(queued(due));
        const out: number[] = [];
        for (let now = 0; now <= 50; now++) for (let next = queue.pop(now); next !== null; next = queue.pop(now)) out.push(next.dueAt);
        expect(out).toEqual([...dues].sort((a, b) => a - b));
        expect([queue.size, queue.questions, queue.nextDue]).toEqual([0, 0, null]);
      }),
    );
  });

  it('gives back whatever is removed from anywhere, and everything else in order', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 50 }), fc.boolean()), { maxLength: 40 }), (list) => {
        const queue = new TaskQueue();
        const all = list.map(([due, stays]) => ({ entry: queued(due), stays }));
        for (const { entry } of all) queue.push(entry);
        for (const { entry, stays } of all) if (!stays) for (let i = 0; i < 2; i += 1) queue.remove(entry);
        const left = all.filter(({ stays }) => stays).map(({ entry }) => entry.dueAt);
        expect([queue.size, queue.questions]).toEqual([left.length, left.length]);
        const out: number[] = [];
        for (let next = queue.pop(50); next !== null; next = queue.pop(50)) out.push(next.dueAt);
        expect(out).toEqual(left.sort((a, b) => a - b));
      }),
    );
  });

  it('counts the questions that its tasks will take', () => {
    const queue = new TaskQueue();
    queue.push(queued(1, { users: ['a', 'b', 'c'] }));
    queue.push(queued(2, { users: ['a', 'b', 'c'], user_id: 'a' }));
    queue.push(queued(3));
    expect(queue.questions).toBe(5);
    expect(queue.nextDue).toBe(1);
    expect(queue.pop(0)).toBeNull();
    queue.pop(1);
    expect(queue.questions).toBe(2);
  });
});

describe('copies of a task', () => {
  const at = (offset: number, attempt: number, more: Partial<PollTask> = {}): QueuedTask => ({
    ...queued(0, { attempt, due_at: offset, ...more }),
    offset,
  });

  it('stand for what they were made of, and for copies of as many attempts or fewer that were published before', () => {
    const copies = new TaskCopies();
    const [first, second, again, third] = [at(1, 0), at(5, 1), at(8, 1), at(9, 2)];
    expect([first, second, again, third].map((entry) => copies.add(entry!))).toEqual([[], [first], [second], [again]]);
  });

  it('are told whatever comes back last', () => {
    const copies = new TaskCopies();
    const [first, second] = [at(1, 0), at(5, 1)];
    expect(copies.add(second)).toEqual([]);
    expect(copies.add(first)).toEqual([first]);
  });

  it('are not what asks for the first time, of somebody else, for another reason, or fewer times', () => {
    const copies = new TaskCopies();
    const all = [at(1, 3), at(2, 0), at(3, 1, { reason: 'conflict' }), at(4, 1, { call_id: 'another' }), at(5, 1, { user_id: 'u' })];
    for (const entry of all) expect(copies.add(entry)).toEqual([]);
    expect(copies.add(at(6, 0))).toEqual([]);
    expect(copies.add({ ...at(6, 3), partition: 1 })).toEqual([]);
    expect(copies.add(at(7, 2)).map(({ offset }) => offset)).toEqual([2, 6]);
  });

  it('stand for nothing that waits no more', () => {
    const copies = new TaskCopies();
    const first = at(1, 0);
    copies.add(first);
    copies.delete(first);
    expect(copies.add(at(5, 1))).toEqual([]);
  });
});

describe('the ledger', () => {
  it('commits up to the lowest task that is not done, in whatever order they end', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(
          Array.from({ length: 12 }, (_, i) => i),
          { minLength: 12 },
        ),
        fc.integer({ min: 0, max: 12 }),
        (order, count) => {
          const ledger = new TaskLedger();
          ledger.begin(3, 0);
          for (let offset = 0; offset < 12; offset++) expect(ledger.take(3, offset)).toBe(true);
          const done = order.slice(0, count);
          for (const offset of done) ledger.done(3, offset);
          const lowest = Array.from({ length: 13 }, (_, i) => i).find((i) => !done.includes(i))!;
          expect(ledger.committable()).toEqual(lowest === 0 ? [] : [{ partition: 3, offset: lowest }]);
          expect(ledger.open).toBe(12 - count);
        },
      ),
    );
  });

  it('takes nothing twice, passes over what consumers never see, and commits each place once', () => {
    const ledger = new TaskLedger();
    expect(ledger.take(0, 5)).toBe(false);
    ledger.begin(0, 5);
    expect([ledger.take(0, 4), ledger.take(0, 5), ledger.take(0, 5)]).toEqual([false, true, false]);
    ledger.passed(0, 9);
    expect(ledger.committable()).toEqual([]);
    ledger.done(0, 5);
    expect(ledger.committable()).toEqual([{ partition: 0, offset: 9 }]);
    ledger.committed([{ partition: 0, offset: 9 }]);
    expect(ledger.committable()).toEqual([]);
    // A new generation begins where the group stands: before what is in memory, or beyond.
    ledger.begin(0, 5);
    expect(ledger.next(0)).toBe(9);
    ledger.begin(0, 20);
    expect(ledger.next(0)).toBe(20);
  });
});

describe('acknowledged ids', () => {
  it('are remembered for at least so many more, and not for ever', () => {
    const ids = new Acknowledged(100);
    ids.add('first');
    for (let n = 0; n < 99; n++) ids.add(`n${n}`);
    expect(ids.has('first')).toBe(true);
    for (let n = 0; n < 250; n++) ids.add(`m${n}`);
    expect([ids.has('first'), ids.has('m249'), ids.has('m150')]).toEqual([false, true, true]);
  });
});

describe('complaints', () => {
  it('are said once in ten minutes, each by itself', () => {
    const complaints = new Complaints();
    expect([complaints.isDue('a', 0), complaints.isDue('a', 599_999), complaints.isDue('b', 5), complaints.isDue('a', 600_000)]).toEqual([
      true,
      false,
      true,
      true,
    ]);
  });
});

describe('what to sweep', () => {
  const settings: SweepSettings = { sweepEvery: MINUTE, overlap: 15 * MINUTE, delay: 10_000, backfillOnStart: 0, maxCall: 12 * HOUR };
  const now = 100 * DAY + 12_345;
  const oldest = now - 7 * DAY;

  it('trails now, and reaches back behind its cursor; a deep sweep looks at the longest calls', () => {
    expect(rangeOf('trailing', now - MINUTE, now, settings, oldest)).toEqual({ from: now - 16 * MINUTE, to: now - 10_000 });
    expect(rangeOf('trailing', null, now, settings, oldest)).toEqual({ from: now - 15 * MINUTE, to: now - 10_000 });
    expect(rangeOf('trailing', null, now, { ...settings, backfillOnStart: DAY }, oldest)).toEqual({ from: now - DAY, to: now - 10_000 });
    expect(rangeOf('deep', now - MINUTE, now, settings, oldest)).toEqual({ from: now - 13 * HOUR, to: now - 10_000 });
    expect([periodOf('trailing', settings), periodOf('deep', settings)]).toEqual([MINUTE, HOUR]);
  });

  it('leaves no hole when the clock was set back', () => {
    expect(rangeOf('trailing', now + 50_000, now, settings, oldest)).toEqual({ from: now - 10_000 - 15 * MINUTE, to: now - 10_000 });
    // What was swept before the clock was wrong is not known: everything that the vendor remembers is asked for.
    expect(rangeOf('trailing', now + HOUR, now, settings, oldest)).toEqual({ from: oldest, to: now - 10_000 });
  });

  it('is cut into pieces that follow each other, and to what the vendor still has', () => {
    const { windows, lost } = piecesOf({ from: now - 9 * DAY, to: now - 10_000 }, now, aliyunRtc.limits, DAY);
    expect(lost?.from).toBe(now - 9 * DAY);
    expect(windows[0]!.from).toBe(lost!.to);
    expect(windows.length).toBe(7);
    for (const [i, window] of windows.slice(1).entries()) expect(window.from).toBe(windows[i]!.to);
    expect(now - 10_000 - windows.at(-1)!.to).toBeLessThan(MINUTE);
  });
});

describe('the owner of everything', () => {
  it('stays; else it is the first by id; there is none without members', () => {
    const member = (id: string, owns = false) => ({ id, owns });
    expect(chooseOwner([member('b'), member('a')])).toBe('a');
    expect(chooseOwner([member('b', true), member('a')])).toBe('b');
    expect(chooseOwner([member('c', true), member('b', true), member('a')])).toBe('b');
    expect(chooseOwner([])).toBeNull();
  });
});
