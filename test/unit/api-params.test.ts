import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { callFilter, POSITION } from '../../src/api/calls.js';
import { decodeCursor, encodeCursor, paging, parse, range, zoned } from '../../src/api/params.js';
import { planBefore, planRange, stepped } from '../../src/api/plan.js';
import { Problem, problemBody } from '../../src/api/problem.js';

const summaryParams = z.strictObject(range);
const seriesParams = z.strictObject({ ...range, ...stepped, ...zoned });
const callsParams = z.strictObject({ ...callFilter, ...paging });
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
      to: Date.parse('2026-03-04T10:18:00Z'),
      from: Date.parse('2026-03-04T10:03:00Z'),
    });
  });

  it('coarsens with the length of the range', () => {
    const steps = ['2h', '2h01m', '12h', '24h', '36h', '7d', '21d', '22d', '400d'].map((text) => {
      const ms = [...text.matchAll(/(\d+)([mhd])/g)].reduce(
        (sum, [, n, unit]) => sum + Number(n) * { m: MINUTE, h: 60 * MINUTE, d: 1440 * MINUTE }[unit as 'm']!,
        0,
      );
      return [text, planRange({ window: ms }, NOW).step];
    });
    expect(steps).toEqual([
      ['2h', '1m'],
      ['2h01m', '5m'],
      ['12h', '5m'],
      ['24h', '15m'],
      ['36h', '15m'],
      ['7d', '1h'],
      ['21d', '1h'],
      ['22d', '1d'],
      ['400d', '1d'],
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

describe('days of a time zone', () => {
  const days = (query: Record<string, string>, now: number) => planRange(parse(seriesParams, query), now);

  it('begin at local midnight, and are longer or shorter where clocks change', () => {
    const plan = days({ from: '2026-03-28T12:00:00Z', to: '2026-03-30T12:00:00Z', step: '1d', tz: 'Europe/Berlin' }, NOW);
    expect([...plan.at, plan.to].map((at) => new Date(at).toISOString())).toEqual([
      '2026-03-27T23:00:00.000Z',
      '2026-03-28T23:00:00.000Z',
      '2026-03-29T22:00:00.000Z',
      '2026-03-30T22:00:00.000Z',
    ]);
  });

  it('of a window are the last ones, today among them', () => {
    const plan = days({ window: '7d', step: '1d', tz: 'Asia/Kolkata' }, NOW);
    expect(plan.at).toHaveLength(7);
    expect([plan.at[0], plan.to].map((at) => new Date(at!).toISOString())).toEqual([
      '2026-02-25T18:30:00.000Z',
      '2026-03-04T18:30:00.000Z',
    ]);
  });

  it('are as many before the period, and end where it begins', () => {
    const query = { window: '30d', step: '1d', tz: 'Europe/Berlin' };
    const april = Date.parse('2026-04-10T10:00:00Z');
    const plan = days(query, april);
    const previous = planBefore(plan, parse(seriesParams, query));
    expect([previous.at.length, previous.to]).toEqual([30, plan.from]);
    expect(new Date(previous.from).toISOString()).toBe('2026-02-09T23:00:00.000Z');
    const hours = days({ window: '6h' }, NOW);
    expect(planBefore(hours, {})).toMatchObject({ from: hours.from - 6 * 60 * MINUTE, to: hours.from, step: '5m' });
  });

  it('are those of a zone that exists', () => {
    for (const tz of ['Mars/Olympus', '+02:00', '', 'Europe/Berlin; DROP TABLE calls'])
      expect(problemOf(() => days({ tz }, NOW)).code).toBe('PARAMETER_INVALID');
    expect(parse(seriesParams, { tz: 'europe/berlin' }).tz?.name).toBe('Europe/Berlin');
  });
});

describe('a cursor', () => {
  it('gives back the position it was made of, whatever is in the ids', () => {
    const position: [number, string, string, string] = [NOW, 'tencent', '1400000001', 'a/b?c="ü"\u{1F600}'];
    expect(decodeCursor(POSITION, encodeCursor(position))).toEqual(position);
  });

  it('is refused when it is not one', () => {
    for (const cursor of ['', 'x', encodeCursor([1.5, '', '', '']), Buffer.from('[1,2,3,4]').toString('base64url')])
      expect(problemOf(() => decodeCursor(POSITION, cursor)).errors?.[0]?.parameter).toBe('cursor');
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
