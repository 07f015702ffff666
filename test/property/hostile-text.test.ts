import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { POSITION } from '../../src/api/calls.js';
import { decodeCursor, parse, range, scope, zoned } from '../../src/api/params.js';
import { planRange, stepped } from '../../src/api/plan.js';
import { Problem } from '../../src/api/problem.js';
import { LIVE, ROUTES } from '../../src/api/routes/index.js';
import { showBody } from '../../src/cli/dead-letters/explain.js';
import { runCli } from '../../src/cli/program.js';
import { ConfigError, parseConfig } from '../../src/config/index.js';
import { readSource } from '../../src/config/source.js';
import { damaged, filled, fuzz, fuzzAsync, growthOf } from '../support/fuzz.js';
import { terminal } from '../support/terminal.js';

/*
 * What people write: configuration files, command lines, parameters of the query API. Every mistake is told with a stable code.
 */

const SECRET = 'a-secret-of-the-test';
const GOOD = `apps:
  - { provider: tencent, appId: "1400000001", callbackSecret: \${SECRET}, allowFrom: [203.0.113.0/24] }
sessions: { ringTimeout: 2m }
api: { host: 127.0.0.1, port: 8090 }
alerts: [{ name: x }]
`;
const PIECES = [
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '- ',
  '&a ',
  '*a',
  '<<: ',
  '!!js/function ',
  '!!binary ',
  '? ',
  '|\n',
  '>\n',
  '"',
  "'",
  '#',
  '\n',
  '  ',
  '%YAML 9.9\n',
  '---\n',
  '...\n',
  `\${SECRET}`,
  '${',
  '$$',
  `\${__proto__}`,
  '__proto__: ',
  'constructor: ',
  'apps: ',
  'provider: tencent',
  'appId: ',
  'sessions: ',
  '\ufeff',
  '\ud800',
  '\0',
  '\ue000',
  '\ue001',
  '\t',
] as const;
const text = fc.oneof(
  fc
    .array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ unit: 'binary', maxLength: 3 })), { maxLength: 40 })
    .map((parts) => parts.join('')),
  damaged(fc.constant(Buffer.from(GOOD))).map((bytes) => bytes.toString('latin1')),
  fc.array(fc.constantFrom(...PIECES), { maxLength: 6 }).map((parts) => GOOD + parts.join('')),
);

describe('a configuration', () => {
  it('is right, or every problem is told; nothing else is thrown, and no secret is shown', () => {
    fuzz(
      text,
      (yaml) => {
        try {
          parseConfig(yaml, { SECRET });
        } catch (error) {
          expect(error).toBeInstanceOf(ConfigError);
          expect((error as ConfigError).code).toBe('CONFIG_INVALID');
          expect((error as ConfigError).message).not.toContain(SECRET);
        }
        expect(Object.keys(Object.prototype)).toEqual([]);
      },
      400,
    );
  });

  it('whose aliases multiply is refused, not written out', () => {
    const lines = Array.from({ length: 40 }, (_, i) => (i === 0 ? 'a0: &a0 [x, x]' : `a${i}: &a${i} [*a${i - 1}, *a${i - 1}, *a${i - 1}]`));
    const { problems } = readSource(lines.join('\n'), {});
    expect(problems.map((p) => p.message)).toContain('more than 1000 aliases, written out');
    expect(readSource('a: &a [*a, *a, *a]', {}).problems.length).toBeGreaterThan(0);
  });

  it('is read in proportion to its size', () => {
    const shapes = ['- x\n', 'a: ', '"', '[]\n', '# x\n', '${', `\${A}`];
    for (const part of shapes)
      expect([
        part,
        growthOf(
          (n) => filled(part, n / 32),
          (yaml: string) => void readSource(yaml, {}),
        ),
      ]).toEqual([part, null]);
  });
});

describe('a command line', () => {
  const dir = mkdtempSync(join(tmpdir(), 'callstream-fuzz-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const word = fc.oneof(
    fc.constantFrom(
      'list',
      'show',
      'replay',
      '--all',
      '--limit',
      '--since',
      '--app',
      '--stage',
      '--json',
      '--from',
      '--to',
      '--call',
      '1e9',
      '-1',
      '99999999999',
      '7d',
      '\u0000',
      "' OR 1=1",
      'a:1:2',
      'callstream.raw.tiw:0:1',
      '--config',
      '2026-01-01',
      '__proto__',
    ),
    fc.string({ unit: 'binary', maxLength: 5 }),
  );
  // `--config` names a file that is not there, so nothing is ever connected to.
  const none = ['--config', join(dir, 'none.yaml')];

  it('of any words ends with an exit code and a line that says why', async () => {
    await fuzzAsync(
      fc.tuple(
        fc.constantFrom('dead-letters', 'repair', 'run', 'doctor', 'migrate', '__proto__', 'constructor'),
        fc.array(word, { maxLength: 6 }),
      ),
      async ([command, words]) => {
        const { io, written } = terminal({ CALLSTREAM_DATA_DIR: dir });
        const code = await runCli([command, ...words.filter((w) => w !== '--config'), ...none], io);
        expect([0, 1, 2]).toContain(code);
        if (code !== 0) expect(written.err).not.toBe('');
        expect(written.err).not.toMatch(/^\s+at .*\.[jt]s:\d+/m);
      },
      200,
    );
  });

  it('shows no byte of a dead letter that a terminal would obey', () => {
    fuzz(
      fc.uint8Array({ maxLength: 80 }),
      (bytes) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach a terminal.
        expect(showBody(Buffer.from(bytes))).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/);
      },
      1_000,
    );
  });
});

describe('parameters of the query API', () => {
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '',
      '0',
      '-1',
      '1e999',
      '9'.repeat(400),
      '2026-13-45',
      '2026-01-31T09:00:00Z',
      '1704695566000',
      '5m',
      '999999d',
      '99',
      "' OR 1=1 --",
      '{app:String}',
      '\0',
      'answered,busy',
      'true',
    ),
    fc.array(fc.string(), { maxLength: 2 }),
  );
  const names = [
    'from',
    'to',
    'window',
    'step',
    'app',
    'type',
    'media',
    'outcome',
    'status',
    'missed',
    'user',
    'room',
    'call',
    'q',
    'limit',
    'cursor',
    'since',
    'tz',
    'compare',
    'format',
    'state',
    '__proto__',
    'constructor',
    'x',
  ];
  const params = fc.array(fc.tuple(fc.constantFrom(...names), value), { maxLength: 5 }).map((pairs) => Object.fromEntries(pairs));
  const orProblem = (work: () => unknown): void => {
    try {
      work();
    } catch (error) {
      expect(error).toBeInstanceOf(Problem);
      expect((error as Problem).status).toBe(400);
    }
  };

  it('are taken, or refused by name', () => {
    fuzz(
      params,
      (given) => {
        for (const { params: schema } of [...ROUTES, LIVE]) orProblem(() => parse(schema, given));
        orProblem(() => {
          const plan = planRange(parse(z.strictObject({ ...range, ...scope, ...stepped, ...zoned }), given), 1_704_695_566_000);
          expect(plan.at.length).toBeLessThanOrEqual(3_000);
          expect((plan.to - plan.from) / plan.stepMs).toBeLessThanOrEqual(3_001);
        });
      },
      1_000,
    );
  });

  it('that are cursors nobody gave out are refused', () => {
    const cursor = fc.oneof(
      fc.string(),
      fc.json().map((json) => Buffer.from(json).toString('base64url')),
    );
    fuzz(cursor, (given) => orProblem(() => decodeCursor(POSITION, given)), 500);
  });
});
