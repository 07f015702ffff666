import { describe, expect, it } from 'vitest';
import { callsParams, decodeCursor, encodeCursor, parse, planRange, seriesParams, summaryParams } from '../../src/api/params.js';
import { Problem, problemBody } from '../../src/api/problem.js';

const NOW = Date.parse('2026-03-04T10:17:23.456Z');
const MINUTE = 60_000;

function problemOf(run: () => unknown): Problem {
  try {
    run();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error('no problem was raised');
}

describe('query parameters', () => {
  it('name every wrong and every unknown parameter at once', () => {
    const problem = problemOf(() =>
      parse(callsParams, { outcome: 'answered,lost', limit: '0', from: 'yesterday', colour: 'red', user: ['a', 'b'] }),
    );
    expect(problem.status).toBe(400);
    expect(problem.code).toBe('PARAMETER_INVALID');
    expect(problem.errors?.map((e) => e.parameter).sort()).toEqual(['colour', 'from', 'limit', 'outcome', 'user']);
    expect(problem.errors?.find((e) => e.parameter === 'user')?.message).toBe('must be given once');
  });

  it('take times as epoch milliseconds or as ISO 8601 with a zone, and nothing vague', () => {
    expect(parse(summaryParams, { from: '1767225600000' }).from).toBe(1_767_225_600_000);
    expect(parse(summaryParams, { from: '2026-01-01T01:00:00+01:00' }).from).toBe(1_767_225_600_000);
    expect(parse(summaryParams, { from: '2026-01-01' }).from).toBe(1_767_225_600_000);
    for (const from of ['2026-01-01T00:00:00', 'now', '', '12', '-5', '2026-13-01'])
      expect(problemOf(() => parse(summaryParams, { from })).status).toBe(400);
  });

  it('refuse durations that are no duration', () => {
    expect(parse(summaryParams, { window: '15m' }).window).toBe(15 * MINUTE);
    for (const window of ['0m', '5', '1w', '-1h', '999999d', '1h30m'])
      expect(problemOf(() => parse(summaryParams, { window })).status).toBe(400);
  });

  it('keep ids as they are, however odd', () => {
    const user = "x' OR 1=1 -- {app:String} \u{1F600}";
    expect(parse(callsParams, { user }).user).toBe(user);
  });
});

describe('a plan', () => {
  it('covers whole buckets up to the one that is under way', () => {
    const plan = planRange({ window: 15 * MINUTE }, NOW);
    expect(plan).toMatchObject({
      step: '1m',
      relation: 'metrics_1m',
      to: Date.parse('2026-03-04T10:18:00Z'),
      from: Date.parse('2026-03-04T10:03:00Z'),
    });
  });

  it('coarsens with the length of the range and reads the coarsest relation that can give the step', () => {
    const steps = ['2h', '2h01m', '12h', '24h', '36h', '7d', '21d', '22d', '400d'].map((text) => {
      const ms = [...text.matchAll(/(\d+)([mhd])/g)].reduce(
        (sum, [, n, unit]) => sum + Number(n) * { m: MINUTE, h: 60 * MINUTE, d: 1440 * MINUTE }[unit as 'm']!,
        0,
      );
      const { step, relation } = planRange({ window: ms }, NOW);
      return [text, step, relation];
    });
    expect(steps).toEqual([
      ['2h', '1m', 'metrics_1m'],
      ['2h01m', '5m', 'metrics_1m'],
      ['12h', '5m', 'metrics_1m'],
      ['24h', '15m', 'metrics_1m'],
      ['36h', '15m', 'metrics_1m'],
      ['7d', '1h', 'metrics_1h'],
      ['21d', '1h', 'metrics_1h'],
      ['22d', '1d', 'metrics_1d'],
      ['400d', '1d', 'metrics_1d'],
    ]);
  });

  it('widens given ends to whole buckets', () => {
    const plan = planRange({ from: NOW, to: NOW + 1, step: '1h' }, NOW);
    expect([plan.from, plan.to]).toEqual([Date.parse('2026-03-04T10:00:00Z'), Date.parse('2026-03-04T11:00:00Z')]);
  });

  it('refuses ranges that are empty, doubly given or too fine', () => {
    expect(problemOf(() => planRange({ from: NOW, to: NOW }, NOW)).errors?.[0]?.parameter).toBe('from');
    expect(problemOf(() => planRange({ from: NOW - 1, window: MINUTE }, NOW)).errors?.[0]?.parameter).toBe('window');
    expect(problemOf(() => planRange({ window: 30 * 1440 * MINUTE, step: '1m' }, NOW)).errors?.[0]?.parameter).toBe('step');
    expect(parse(seriesParams, { step: '5m' }).step).toBe('5m');
  });
});

describe('a cursor', () => {
  it('gives back the position it was made of, whatever is in the ids', () => {
    const position: [number, string, string, string] = [NOW, 'tencent', '1400000001', 'a/b?c="ü"\u{1F600}'];
    expect(decodeCursor(encodeCursor(position))).toEqual(position);
  });

  it('is refused when it is not one', () => {
    for (const cursor of ['', 'x', encodeCursor([1.5, '', '', '']), Buffer.from('[1,2,3,4]').toString('base64url')])
      expect(problemOf(() => decodeCursor(cursor)).errors?.[0]?.parameter).toBe('cursor');
  });
});

describe('problem details', () => {
  it('carry what RFC 9457 asks for, a stable code and the wrong fields', () => {
    const problem = new Problem(400, 'PARAMETER_INVALID', 'Invalid parameter', 'x is wrong', {
      errors: [{ parameter: 'x', message: 'is wrong' }],
    });
    expect(problemBody(problem, '/api/v1/calls')).toEqual({
      type: 'urn:callstream:problem:parameter-invalid',
      title: 'Invalid parameter',
      status: 400,
      detail: 'x is wrong',
      instance: '/api/v1/calls',
      code: 'PARAMETER_INVALID',
      errors: [{ parameter: 'x', message: 'is wrong' }],
    });
  });
});
