import { describe, expect, it } from 'vitest';
import { csvHead, csvLine } from '../../src/api/csv.js';

const COLUMNS = { name: 'text', users: 'texts', n: 'number', over: 'flag', at: 'time', ended: 'time?' } as const;
const line = (more: object): string =>
  csvLine(COLUMNS, { name: 'a', users: [], n: 1, over: true, at: Date.UTC(2026, 0, 1), ended: null, ...more });

/** The fields of one record, read as RFC 4180 says. */
const fieldsOf = (record: string): string[] =>
  [...record.replace(/\r\n$/, '').matchAll(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)]
    .map(([, field]) => field!)
    .slice(0, 6)
    .map((field) => (field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field));

describe('a line of CSV', () => {
  it('has times in UTC, lists as JSON, and nothing where nothing is known', () => {
    expect(csvHead(COLUMNS)).toBe('name,users,n,over,at,ended\r\n');
    expect(line({})).toBe('a,[],1,true,2026-01-01T00:00:00.000Z,\r\n');
    expect(fieldsOf(line({ users: ['x', 'y, "z"'] }))[1]).toBe('["x","y, \\"z\\""]');
  });

  it.each(['a,b', 'say "hi"', 'two\r\nlines', 'ünï 😀', '', ' spaces ', "o'brien"])('gives back %j', (name) => {
    expect(fieldsOf(line({ name }))[0]).toBe(name);
  });

  it.each(['=1+1', '+49', '-x', '@SUM(A1)', '\tx', '\rx', '=HYPERLINK("http://x","y")'])('makes no formula of %j', (name) => {
    expect(fieldsOf(line({ name }))[0]).toBe(`'${name}`);
  });

  it('leaves negative numbers alone', () => {
    expect(fieldsOf(line({ n: -5 }))[2]).toBe('-5');
  });
});
