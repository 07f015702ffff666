import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Alert } from '../../src/codec/generated.js';
import type { AlertRule } from '../../src/domain/alert-rules.js';
import { holds } from '../../src/domain/alerts.js';
import { AlertBook } from '../../src/workers/alerts/book.js';
import { Progress } from '../../src/workers/alerts/progress.js';

const rule: AlertRule = { name: 'r', metric: 'missed_rate', window: 60_000, threshold: 0.5, minimum: 1, for: 20, apps: null };
const apps = [{ provider: 'tencent', appId: '1' }];

/** What may befall an evaluator at one look. `lost`: it ends before its transaction is committed; `unknown`: after, and nobody tells it. */
const step = fc.record({
  bad: fc.boolean(),
  fate: fc.constantFrom('fine', 'fine', 'fine', 'restart', 'lost', 'unknown', 'zombie'),
  gap: fc.integer({ min: 1, max: 30 }),
});

it('whatever restarts come, and wherever they fall: fire and resolve take turns on the topic, each once, and each for a reason', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 80 }), (steps) => {
      const topic: Alert[] = [];
      let epoch = 0;
      let now = 0;
      // As the log of alerts: only who has opened it last can publish, all or nothing.
      const open = () => {
        epoch += 1;
        const mine = epoch;
        return { book: new AlertBook(topic), publish: (alerts: readonly Alert[]) => mine === epoch && topic.push(...alerts) > 0 };
      };
      let current = open();
      for (const { bad, fate, gap } of steps) {
        now += gap;
        const sample = { value: bad ? 1 : 0, n: 5 };
        if (fate === 'restart') current = open();
        const judged = current;
        const changes = judged.book.next([rule], apps, () => sample, now);
        if (fate === 'zombie') {
          // Another has taken over while this one was deciding.
          current = open();
          if (changes.length > 0) expect(judged.publish(changes)).toBe(false);
          continue;
        }
        for (const { state } of changes) expect(holds(rule, sample)).toBe(state === 'firing');
        if (fate !== 'lost' && changes.length > 0) expect(judged.publish(changes)).toBe(true);
        if (fate === 'lost' || fate === 'unknown') current = open();
        else judged.book.published(changes);
      }
      topic.forEach(({ state, alert_id, fired_at, resolved_at }, i) => {
        expect(state).toBe(i % 2 === 0 ? 'firing' : 'resolved');
        if (state === 'resolved') expect([alert_id, fired_at]).toEqual([topic[i - 1]!.alert_id, topic[i - 1]!.fired_at]);
        expect((resolved_at ?? fired_at) >= fired_at).toBe(true);
      });
      expect(new Set(topic.map(({ alert_id }) => alert_id)).size).toBe(Math.ceil(topic.length / 2));
    }),
    { numRuns: 500 },
  );
});

it('without a restart, a condition that stays fires once and resolves once', () => {
  const book = new AlertBook([]);
  const seen: string[] = [];
  for (let now = 0; now < 300; now += 10) {
    const changes = book.next([rule], apps, () => ({ value: now < 150 ? 1 : 0, n: 5 }), now);
    book.published(changes);
    seen.push(...changes.map(({ state }) => `${state}@${now}`));
  }
  expect(seen).toEqual(['firing@20', 'resolved@170']);
});

/** A receiver that reads a partition, with deliveries that end in any order, commits and restarts wherever they fall. */
it('a receiver is told of every record at least once; of what was done at a commit, once', () => {
  const action = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('read' as const), count: fc.integer({ min: 1, max: 12 }) }) },
    { weight: 8, arbitrary: fc.record({ kind: fc.constant('end' as const), which: fc.nat() }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('commit' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  );
  const isWanted = (offset: number): boolean => offset % 3 !== 1;
  fc.assert(
    fc.property(fc.nat({ max: 1_000 }), fc.array(action, { maxLength: 200 }), (base, actions) => {
      const end = base + 60;
      let committed = { offset: base, metadata: '' as string | null };
      let progress = new Progress(committed);
      let position = progress.start;
      let open: number[] = [];
      const told: number[] = [];
      /** Done in this life, and in a commit. */
      let done: number[] = [];
      const settled = new Set<number>();
      const read = (to: number): void => {
        for (; position < to; position += 1) {
          if (!isWanted(position) || !progress.begin(position)) continue;
          expect(settled.has(position)).toBe(false);
          open.push(position);
        }
        progress.passed(position);
      };
      const finish = (i: number): void => {
        const [offset] = open.splice(i, 1);
        told.push(offset!);
        done.push(offset!);
        progress.done(offset!);
      };
      const commit = (): void => {
        committed = progress.committable();
        for (const offset of done) settled.add(offset);
      };
      for (const a of actions) {
        if (a.kind === 'read') read(Math.min(end, position + a.count));
        else if (a.kind === 'end' && open.length > 0) finish(a.which % open.length);
        else if (a.kind === 'commit') commit();
        else if (a.kind === 'restart') {
          progress = new Progress(committed);
          position = progress.start;
          open = [];
          done = [];
        }
      }
      read(end);
      while (open.length > 0) finish(0);
      commit();
      const wanted = Array.from({ length: 60 }, (_, i) => base + i).filter(isWanted);
      expect([...new Set(told)].sort((a, b) => a - b)).toEqual(wanted);
      expect(committed.offset).toBe(end);
      expect(new Progress(committed).open).toBe(0);
    }),
    { numRuns: 500 },
  );
});

it('metadata stays within what Kafka takes, however many records are open: then more is told again, and nothing is left out', () => {
  const progress = new Progress({ offset: 0, metadata: null });
  const spread = Array.from({ length: 3_000 }, (_, i) => i * 1_000_003);
  for (const offset of spread) progress.begin(offset);
  const committed = progress.committable();
  expect(committed.metadata!.length).toBeLessThanOrEqual(4_096);
  const later = new Progress(committed);
  expect(spread.filter((offset) => !later.begin(offset))).toEqual([]);
});

it('metadata that is not ours is passed over', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.constantFrom('1;;', '1;5;1', '1;zz;zzz', '1;2s;1,,', '2;2s;')), (metadata) => {
      const progress = new Progress({ offset: 100, metadata });
      expect(progress.start).toBe(100);
      expect(progress.begin(100)).toBe(true);
    }),
  );
});
