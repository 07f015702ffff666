/** Keys of one joint question, unless one task asks for more. */
const MAX_KEYS = 10_000;

/** What is stored under these keys; of what has a time, from `from` on (epoch ms). An answer may hold more than was asked for. */
type Lookup<K, V> = (keys: readonly K[], from?: number) => Promise<ReadonlyMap<string, V>>;

interface Question<K, V> {
  keys: readonly K[];
  from: number;
  resolve(answer: ReadonlyMap<string, V>): void;
  reject(error: unknown): void;
}

/**
 * The lookups of all tasks of a process as one question at a time: what is asked while one is under way goes together into the next. Few keys make ClickHouse read
 * nearly as much as many do, so tasks that ask side by side only take its time from one another. A question never gets an answer that was under way before it;
 * an error it does get: whoever waits behind a question fails with it.
 */
export function jointly<K, V>(ask: (keys: readonly K[], from: number) => Promise<ReadonlyMap<string, V>>): Lookup<K, V> {
  const waiting: Question<K, V>[] = [];
  let asking = false;

  const next = (): Question<K, V>[] => {
    let keys = 0;
    const fits = waiting.findIndex((question, i) => {
      keys += question.keys.length;
      return i > 0 && keys > MAX_KEYS;
    });
    return waiting.splice(0, fits === -1 ? waiting.length : fits);
  };

  const askAll = async (): Promise<void> => {
    asking = true;
    while (waiting.length > 0) {
      const questions = next();
      try {
        const keys = questions.flatMap((question) => question.keys);
        const answer = await ask(keys, Math.min(...questions.map(({ from }) => from)));
        for (const { resolve } of questions) resolve(answer);
      } catch (error) {
        // Those who wait as well: ClickHouse may have taken its whole time to fail, and asking again now would keep them for as long once more.
        for (const { reject } of [...questions, ...waiting.splice(0)]) reject(error);
      }
    }
    asking = false;
  };

  return (keys, from = Number.POSITIVE_INFINITY) =>
    new Promise((resolve, reject) => {
      waiting.push({ keys, from, resolve, reject });
      if (!asking) void askAll();
    });
}
