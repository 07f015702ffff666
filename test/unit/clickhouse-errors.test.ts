import { ClickHouseError } from '@clickhouse/client';
import { describe, expect, test } from 'vitest';
import { failureOf } from '../../src/clickhouse/client.js';
import { ClickHouseFailure, SERVER_CODES, SOCKET_CODES } from '../../src/clickhouse/errors.js';

describe('failures of ClickHouse are judged by number', () => {
  test.each(Object.entries(SERVER_CODES).map(([code, [name, kind]]) => ({ code, name, kind })))(
    '$code $name is $kind',
    ({ code, kind }) => {
      const failure = failureOf(new ClickHouseError({ code, type: 'SOMETHING', message: 'Timeout exceeded, TOO_MANY_PARTS' }), 'INSERT');
      expect(failure).toMatchObject({
        kind,
        server: Number(code),
        code: kind === 'retriable' ? 'CLICKHOUSE_UNAVAILABLE' : 'CLICKHOUSE_REFUSED',
      });
    },
  );

  test.each([...SOCKET_CODES])('%s of a socket is retriable', (code) => {
    expect(failureOf(Object.assign(new Error('x'), { code }), 'INSERT')).toMatchObject({ kind: 'retriable', server: null });
  });

  test('what is in no table is unknown, whatever its message says', () => {
    expect(failureOf(new ClickHouseError({ code: '9999', message: 'ECONNRESET TOO_MANY_PARTS' }), 'INSERT')).toMatchObject({
      kind: 'unknown',
      code: 'CLICKHOUSE_UNKNOWN',
    });
    expect(failureOf(new Error('Timeout error.'), 'INSERT').kind).toBe('unknown');
    expect(failureOf('odd', 'INSERT').kind).toBe('unknown');
  });

  test('are wrapped once', () => {
    const failure = new ClickHouseFailure('retriable', 252, 'INSERT', new Error('x'));
    expect(failureOf(failure, 'other')).toBe(failure);
  });
});
