import { describe, expect, it } from 'vitest';
import { jointly } from '../../src/clickhouse/jointly.js';
import { turn } from '../../src/stream/wait.js';

/** A store that answers when it is told to. */
function store() {
  const asked: { keys: readonly string[]; from: number; answer: () => void; fail: (error: Error) => void }[] = [];
  const lookup = jointly<string, string>(
    (keys, from) =>
      new Promise((resolve, reject) => {
        asked.push({ keys, from, answer: () => resolve(new Map(keys.map((key) => [key, key.toUpperCase()]))), fail: reject });
      }),
  );
  return { asked, lookup };
}

describe('joint lookups', () => {
  it('ask at once when nothing is under way, and put together what comes meanwhile', async () => {
    const { asked, lookup } = store();
    const first = lookup(['a'], 50);
    const second = lookup(['b', 'c'], 40);
    const third = lookup(['d'], 60);
    expect(asked.map(({ keys, from }) => ({ keys, from }))).toEqual([{ keys: ['a'], from: 50 }]);
    asked[0]!.answer();
    expect((await first).get('a')).toBe('A');
    await turn();
    expect(asked.slice(1).map(({ keys, from }) => ({ keys, from }))).toEqual([{ keys: ['b', 'c', 'd'], from: 40 }]);
    asked[1]!.answer();
    expect((await second).get('c')).toBe('C');
    expect((await third).get('d')).toBe('D');
  });

  it('never answer with what was under way before', async () => {
    const { asked, lookup } = store();
    void lookup(['a']);
    const again = lookup(['a']);
    let answered = false;
    void again.then(() => {
      answered = true;
    });
    asked[0]!.answer();
    await turn();
    expect(answered).toBe(false);
    asked[1]!.answer();
    await again;
  });

  it('fail together with what came meanwhile, and go on', async () => {
    const { asked, lookup } = store();
    const first = lookup(['a']);
    const failing = [lookup(['b']), lookup(['c'])];
    asked[0]!.answer();
    await first;
    await turn();
    failing.push(lookup(['d']));
    asked[1]!.fail(new Error('away'));
    for (const result of await Promise.allSettled(failing))
      expect(result).toMatchObject({ status: 'rejected', reason: { message: 'away' } });
    expect(asked.map(({ keys }) => keys)).toEqual([['a'], ['b', 'c']]);
    const last = lookup(['e']);
    expect(asked[2]!.keys).toEqual(['e']);
    asked[2]!.answer();
    expect((await last).get('e')).toBe('E');
  });

  it('do not grow without end', async () => {
    const { asked, lookup } = store();
    const many = (name: string, n: number) => Array.from({ length: n }, (_, i) => `${name}${i}`);
    const all = [lookup(['a']), lookup(many('b', 20_000)), lookup(many('c', 4_000)), lookup(many('d', 6_000)), lookup(['e'])];
    for (let i = 0; i < 4; i++) {
      asked[i]!.answer();
      await turn();
    }
    await Promise.all(all);
    expect(asked.map(({ keys }) => keys.length)).toEqual([1, 20_000, 10_000, 1]);
  });
});
