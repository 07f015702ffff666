import fc from 'fast-check';

/*
 * Fuzz tests run short with the suite. CALLSTREAM_FUZZ=20 makes them twenty times as long; CALLSTREAM_FUZZ_SEED repeats a run.
 */
const FACTOR = Number(process.env.CALLSTREAM_FUZZ ?? 1);
const SEED = Number(process.env.CALLSTREAM_FUZZ_SEED ?? Date.now() % 0x7fffffff);
if (FACTOR > 1) console.log(`fuzz: ${FACTOR} times the usual runs, seed ${SEED} (CALLSTREAM_FUZZ_SEED=${SEED} repeats it)`);

/** Checks a property; a failure names the seed. */
export function fuzz<T>(arbitrary: fc.Arbitrary<T>, check: (value: T) => void, runs = 300): void {
  fc.assert(
    fc.property(arbitrary, (value) => void check(value)),
    { numRuns: runs * FACTOR, seed: SEED },
  );
}

export async function fuzzAsync<T>(arbitrary: fc.Arbitrary<T>, check: (value: T) => Promise<void>, runs = 100): Promise<void> {
  await fc.assert(
    fc.asyncProperty(arbitrary, async (value) => {
      await check(value);
    }),
    { numRuns: runs * FACTOR, seed: SEED },
  );
}

const SMALL = 8 * 1024;
const GROWTH = 16;
/** Linear work grows 16 times from one size to the other, quadratic 256 times. */
const MOST = 6 * GROWTH;
/** Below this nothing can be told. */
const NOISE_MS = 4;

/** The shortest of several runs, in milliseconds of this process's processor time: what others do on the machine hardly counts. */
function cost(work: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 5; i++) {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / 1000);
  }
  return best;
}

/** How work grows with the size of its input, in characters or bytes: null when it is in proportion, else what was measured. */
export function growthOf(make: (size: number) => unknown, work: (input: never) => void): string | null {
  const [small, large] = [SMALL, SMALL * GROWTH].map((size) => make(size) as never);
  work(small as never);
  const of = { small: cost(() => work(small as never)), large: cost(() => work(large as never)) };
  if (of.large <= MOST * of.small + NOISE_MS) return null;
  return `${of.small} ms for ${SMALL}, ${of.large} ms for ${SMALL * GROWTH}`;
}

/** A letter repeated to a size, or texts joined to about a size. */
export const filled = (text: string, size: number): string => text.repeat(Math.max(1, Math.floor(size / text.length)));

const TOKENS = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  '\\u',
  '\\ud800',
  'null',
  'true',
  '-',
  '0',
  '1e999',
  '-1e-999',
  '1.0000000000000000000000001',
  '9007199254740993',
  '"__proto__"',
  '"constructor"',
  '"toString"',
  '\ufeff',
  '\u0000',
  ' ',
  '\u2028',
] as const;

/** JSON-like text that is mostly wrong. */
const tokens = (names: readonly string[]): fc.Arbitrary<Buffer> =>
  fc.array(fc.constantFrom(...TOKENS, ...names.map((n) => `"${n}":`)), { maxLength: 40 }).map((parts) => Buffer.from(parts.join('')));

/** JSON objects of the names that a vendor uses, repeated and of every type, written as text so that numbers keep their notation. */
function objects(names: readonly string[], words: readonly string[]): fc.Arbitrary<Buffer> {
  const { object } = fc.letrec<{ object: string; value: string }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      { weight: 4, arbitrary: fc.constantFrom(...words.map((w) => JSON.stringify(w))) },
      {
        weight: 3,
        arbitrary: fc.constantFrom(
          'null',
          'true',
          '0',
          '-0',
          '-1',
          '1e400',
          '1704695566',
          '1704695566123',
          '9007199254740993',
          '0.1e1',
          '""',
          '"\\ud800"',
          '"\\udc00\\ud800"',
          '[]',
          '{}',
          `${'['.repeat(150)}${']'.repeat(150)}`,
          `1${'0'.repeat(500)}`,
        ),
      },
      { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 4 }).map((s) => JSON.stringify(s)) },
      { weight: 3, arbitrary: tie('object') },
      { weight: 1, arbitrary: fc.array(tie('value'), { maxLength: 4 }).map((items) => `[${items.join()}]`) },
      { weight: 1, arbitrary: tie('object').map((text) => JSON.stringify(text)) },
    ),
    object: fc
      .array(fc.tuple(fc.constantFrom(...names, '__proto__', 'constructor', 'toString'), tie('value')), { maxLength: 8 })
      .map((fields) => `{${fields.map(([name, value]) => `"${name}":${value}`).join()}}`),
  }));
  return object.map((text) => Buffer.from(text));
}

/** Bytes with some of them flipped, cut off, or repeated. */
export const damaged = (whole: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
  fc
    .tuple(
      whole,
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
      fc.nat(),
      fc.constantFrom('whole', 'cut', 'doubled'),
    )
    .map(([bytes, flips, at, how]) => {
      const copy = Buffer.from(bytes);
      for (const [i, byte] of flips) if (copy.length > 0) copy[i % copy.length] = byte;
      if (how === 'cut') return copy.subarray(0, copy.length === 0 ? 0 : at % copy.length);
      return how === 'doubled' ? Buffer.concat([copy, copy]) : copy;
    });

/** Bodies that anyone may post: any bytes, nearly JSON, and JSON of a vendor's own names with values of any kind. */
export function hostileBodies(names: readonly string[], words: readonly string[]): fc.Arbitrary<Buffer> {
  const object = objects(names, words);
  return fc.oneof(
    { weight: 6, arbitrary: object },
    { weight: 2, arbitrary: damaged(object) },
    { weight: 2, arbitrary: tokens(names) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)) },
    { weight: 1, arbitrary: object.map((text) => Buffer.from(`\ufeff${text}`)) },
    { weight: 1, arbitrary: fc.constantFrom('{"a":', '[', '{"Data":"{\\"a\\":').map((text) => Buffer.from(text.repeat(3_000))) },
  );
}

/** Query strings: vendors' parameters with odd escapes, and any text that a URL's query can be. */
export const hostileQueries = (names: readonly string[]): fc.Arbitrary<string> =>
  fc
    .array(
      fc.oneof(
        fc.constantFrom(
          '&',
          '=',
          '%',
          '%zz',
          '%ff',
          '%00',
          '%u0041',
          '+',
          '#',
          '?',
          '&&',
          '%C0%80',
          '%ED%A0%80',
          '__proto__=1',
          ...names.map((n) => `${n}=`),
        ),
        fc.string({ unit: 'binary', maxLength: 5 }),
      ),
      { maxLength: 20 },
    )
    .map((parts) => parts.join(''));
