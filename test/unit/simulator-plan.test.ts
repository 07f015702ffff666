import { describe, expect, it } from 'vitest';
import type { ChaosLevel } from '../../src/simulator/chaos.js';
import { AT_THE_END } from '../../src/simulator/chaos.js';
import type { PlannedCall } from '../../src/simulator/plan.js';
import { Random, Zipf } from '../../src/simulator/random.js';
import { type Shape, timelinesOf } from '../../src/simulator/traffic.js';
import { truthOf } from '../../src/simulator/truth/call.js';
import { TruthDeliveries } from '../../src/simulator/truth/deliveries.js';
import type { Delivery } from '../../src/simulator/wire.js';

const BEGIN = Date.UTC(2026, 5, 10, 18);
const APP = '1400000001';

function play(chaos: ChaosLevel, shape: Partial<Extract<Shape, { kind: 'compressed' }>> = {}, seed = '7') {
  const calls: PlannedCall[] = [];
  const timelines = timelinesOf(
    { seed, run: `${seed}.run`, apps: [APP], chaos },
    { kind: 'compressed', begin_at: BEGIN, calls: 900, live: 60, ...shape },
    (call) => calls.push(call),
  );
  const deliveries = timelines.map((t) => {
    const list: Delivery[] = [];
    for (let d = t.next(); d !== null; d = t.next()) list.push(d);
    return list;
  });
  return { calls, deliveries, all: deliveries.flat() };
}

/** EventTime: of v1 in seconds, of v4 in milliseconds. */
const eventTime = (d: Delivery): number => JSON.parse(d.body.toString()).EventTime * (d.v4 ? 1 : 1_000);
const text = (d: Delivery) => `${d.send_at} ${d.expect} ${d.query} ${d.body.toString('latin1')}`;

function truthAbout(deliveries: readonly Delivery[]) {
  const truth = new TruthDeliveries();
  deliveries.forEach((d, offset) => {
    truth.add(
      { source: d.source, partition: 0, offset, app_id: d.app_id, query: d.query, body: d.body, received_at: BEGIN + offset },
      true,
    );
  });
  return truth;
}

describe('the plan', () => {
  it.each<ChaosLevel>(['none', 'mild', 'hard'])('is the same for the same seed and another for another (%s)', (chaos) => {
    const once = play(chaos).all.map(text);
    expect(play(chaos).all.map(text)).toEqual(once);
    expect(play(chaos, {}, '8').all.map(text)).not.toEqual(once);
  });

  it('uses names of rooms again in a run, and no room of another run', () => {
    const rooms = (seed: string) => play('hard', {}, seed).calls.flatMap(({ facts }) => facts?.room_id ?? []);
    const [one, other] = [rooms('7'), rooms('8')];
    const named = one.filter((room) => room.startsWith('lobby'));
    expect(named.length).toBeGreaterThan(2 * new Set(named).size);
    expect(one.filter((room) => other.includes(room))).toEqual([]);
    // Numbers, as the vendors know them (`numberOf`).
    const numbers = one.filter((room) => /^\d+$/.test(room));
    expect(numbers.length).toBeGreaterThan(one.length / 2);
    for (const room of numbers) expect(room).toMatch(/^[1-9]\d{0,8}$/);
  });

  it('sends in order of time, compressed calls only in the past', () => {
    const { deliveries } = play('hard');
    for (const list of deliveries) expect(list.every((d, i) => i === 0 || list[i - 1]!.send_at <= d.send_at)).toBe(true);
    const compressed = play('none').deliveries[2]!;
    expect(compressed.length).toBeGreaterThan(3_000);
    for (const d of compressed) expect(eventTime(d)).toBeLessThan(BEGIN);
  });

  it('stamps live calls with the second in which they are sent', () => {
    for (const d of play('none').deliveries[1]!) {
      const late = d.send_at - eventTime(d);
      expect(late).toBeGreaterThanOrEqual(0);
      expect(late).toBeLessThan(d.v4 ? 300 : 2_500);
    }
  });

  it('mixes single and group calls and every plot, with every outcome in the truth', () => {
    const { calls, all } = play('none');
    expect(calls).toHaveLength(900);
    const groups = calls.filter((c) => c.group).length / calls.length;
    expect(groups).toBeGreaterThan(0.15);
    expect(groups).toBeLessThan(0.25);
    expect(new Set(calls.map((c) => c.plot)).size).toBe(9);
    const truth = truthAbout(all.filter((d) => d.expect === 200));
    const records = [...truth.calls.values()].map((c) =>
      truthOf(c.inputs, { ringTimeout: 120_000, maxCall: 43_200_000 }, BEGIN + 86_400_000),
    );
    expect(new Set(records.map((r) => r.outcome))).toEqual(
      new Set(['answered', 'no_answer', 'rejected', 'busy', 'cancelled', 'failed', 'unknown']),
    );
    expect(new Set(records.map((r) => r.end_reason))).toEqual(
      new Set(['normal', 'interrupted', 'timed_out', 'no_answer', 'rejected', 'busy', 'cancelled', 'failed']),
    );
    const answered = records.filter((r) => r.outcome === 'answered').length / records.length;
    expect(answered).toBeGreaterThan(0.5);
    expect(answered).toBeLessThan(0.8);
    expect(records.filter((r) => r.anomalies.length > 0 && r.anomalies.join() !== 'missing_end')).toEqual([]);
  });

  it('without chaos repeats and loses nothing, and still has a few unreadable bodies and a stranger', () => {
    const { all } = play('none');
    // Two callees who accept within one second make two equal reports of the caller; nothing else repeats.
    const others = all.filter((d) => !d.query.includes('caller_call_accepted')).map((d) => d.query + d.body.toString('latin1'));
    expect(new Set(others).size).toBe(others.length);
    expect(all.filter((d) => d.expect === 403)).toHaveLength(1);
    expect(truthAbout(all.filter((d) => d.expect === 200)).deadLetters).toHaveLength(3);
  });

  it('hard chaos repeats, differs, holds back, misspells and confuses', () => {
    const { all } = play('hard', { calls: 2_500, live: 0 });
    const accepted = all.filter((d) => d.expect === 200);
    expect(all.length - accepted.length).toBeGreaterThan(10);
    expect(all.filter((d) => d.send_at === AT_THE_END).length / all.length).toBeGreaterThan(0.01);
    const truth = truthAbout(accepted);
    expect(new Set(truth.deadLetters.map((d) => d.why))).toEqual(new Set(['not_json', 'no_call_id', 'unknown_event', 'nothing']));
    const counts = [...truth.minutes.values()].reduce(
      (a, m) => ({ received: a.received + m.received, duplicates: a.duplicates + m.duplicates }),
      { received: 0, duplicates: 0 },
    );
    // Of v1 every delivery is one input; of v4 every user it tells of is.
    const v1 = truthAbout(accepted.filter((d) => !d.v4));
    expect([...v1.minutes.values()].reduce((n, m) => n + m.received, 0)).toBe(accepted.filter((d) => !d.v4).length);
    expect(counts.received).toBeGreaterThan(accepted.length);
    expect(counts.duplicates / counts.received).toBeGreaterThan(0.05);
    const exact = new Set(accepted.map((d) => d.query + d.body.toString('latin1'))).size;
    // More duplicates than equal bodies: some bodies of one event differ.
    expect(accepted.length - exact).toBeLessThan(counts.duplicates);
    const ids = [...truth.calls.values()].map((c) => c.call_id);
    expect(ids.some((id) => id.length > 1_000)).toBe(true);
    expect(ids.some((id) => id.includes('😀'))).toBe(true);
    const bodies = accepted.map((d) => d.body.toString());
    expect(bodies.some((b) => /:9007199254740993[,}]/.test(b))).toBe(true);
    expect(bodies.some((b) => /"EventTime":\d{13}/.test(b))).toBe(true);
    expect(bodies.some((b) => /"EventTime":"\d+"/.test(b))).toBe(true);
    expect(bodies.some((b) => b.includes('"RoomId":"lobby-'))).toBe(true);
    expect(bodies.some((b) => /:9007199254740993\.0[,}]/.test(b))).toBe(true);
    for (const event of ['accept_call', 'join_in_group_call'])
      expect(bodies.some((b) => b.includes(`"Role":"caller","Event":"${event}"`))).toBe(true);
    // Some of those callers had left before, so that their call is not over.
    const back = [...truth.calls.values()].filter((c) => {
      const own = c.inputs.flatMap(({ reading: r }) => (r.kind === 'event' && r.role === 'caller' && r.event_at !== null ? [r] : []));
      const left = own.find((r) => r.event === 'call_end');
      return left && own.some((r) => /accept_call|join_in/.test(r.event) && r.event_at! > left.event_at!);
    });
    expect(back.length).toBeGreaterThan(0);
  });

  it('paced traffic keeps its rate, starts with its history, and ends in time', () => {
    const begun: number[] = [];
    const shape: Shape = {
      kind: 'paced',
      begin_at: BEGIN,
      rate: 2,
      calls: null,
      forMs: 600_000,
      historyMs: 600_000,
      longestTalkMs: 3 * 3_600_000,
    };
    const [, traffic] = timelinesOf({ seed: '1', run: 'r', apps: [APP], chaos: 'none' }, shape, (call) =>
      begun.push(call.deliveries[0]!.send_at),
    );
    let last = 0;
    for (let d = traffic!.next(); d !== null; d = traffic!.next()) last = d.send_at;
    expect(begun[0]).toBeLessThan(BEGIN - 590_000);
    expect(begun.length).toBeGreaterThan(2 * 1_100 * 0.85);
    expect(begun.length).toBeLessThan(2 * 1_100 * 1.15);
    expect(last).toBeLessThan(BEGIN + 660_000);
  });
});

describe('randomness', () => {
  it('is uniform enough, and Zipf users are skewed', () => {
    const random = new Random('x');
    const draws = Array.from({ length: 20_000 }, () => random.next());
    expect(draws.reduce((a, b) => a + b, 0) / draws.length).toBeCloseTo(0.5, 1);
    expect(new Set(draws.map((d) => Math.floor(d * 10))).size).toBe(10);
    const zipf = new Zipf(100, 1);
    const ranks = Array.from({ length: 20_000 }, () => zipf.draw(random));
    const share = (rank: number) => ranks.filter((r) => r === rank).length / ranks.length;
    expect(share(0)).toBeGreaterThan(0.15);
    expect(share(99)).toBeLessThan(0.01);
  });
});
