import { describe, expect, it } from 'vitest';
import { CALLS, rowOf, selectOf } from '../../src/clickhouse/relations.js';
import { REVISION_COLUMNS } from '../../src/clickhouse/rows.js';

const COLUMNS = {
  name: 'text',
  names: 'texts',
  count: 'number',
  rate: 'number?',
  over: 'flag',
  at: 'time',
  ended: 'time?',
  minute: 'bucket',
} as const;

describe('the columns of a relation', () => {
  it('are selected with times as epoch milliseconds, under their own names', () => {
    expect(selectOf({ name: 'text', at: 'time', ended: 'time?', minute: 'bucket' })).toBe(
      't.name AS name, toUnixTimestamp64Milli(t.at) AS at, toUnixTimestamp64Milli(t.ended) AS ended, toUnixTimestamp(t.minute) * 1000 AS minute',
    );
  });

  it('become a plain record, whether ClickHouse quotes 64-bit integers or not, and says true or 1', () => {
    const expected = { name: 'a', names: ['b'], count: 2, rate: 0.5, over: true, at: 3, ended: 4, minute: 60_000 };
    expect(rowOf(COLUMNS, { ...expected })).toEqual(expected);
    expect(rowOf(COLUMNS, { ...expected, count: '2', over: 1, at: '3', ended: '4', minute: '60000', more: 1 })).toEqual(expected);
  });

  it('keep apart what is unknown and what is 0', () => {
    const row = { name: '', names: [], count: 0, over: 0, at: 0, minute: 0 };
    expect(rowOf(COLUMNS, { ...row, rate: null, ended: null })).toMatchObject({ over: false, rate: null, ended: null });
    expect(rowOf(COLUMNS, { ...row, rate: 0, ended: 0 })).toMatchObject({ rate: 0, ended: 0 });
  });

  it('of `calls` are those that the sink writes', () => {
    expect(Object.keys(CALLS)).toEqual([...REVISION_COLUMNS]);
  });
});
