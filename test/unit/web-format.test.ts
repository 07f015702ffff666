import { describe, expect, it } from 'vitest';
import { wholeDay } from '../../src/web/parts/format.js';

const HOUR = 3_600_000;
const at = (text: string): number => Date.parse(text);

describe('a whole day in a zone', () => {
  it('begins and ends at its midnights, wherever the moment lies in it', () => {
    for (const now of ['2026-02-28T23:00:00Z', '2026-03-01T10:00:00Z', '2026-03-01T22:59:59.999Z'])
      expect(wholeDay(at(now), 1, 'Europe/Berlin')).toEqual({ from: at('2026-02-27T23:00:00Z'), to: at('2026-02-28T23:00:00Z') });
    expect(wholeDay(at('2026-01-01T00:30:00Z'), 0, 'America/New_York')).toEqual({
      from: at('2025-12-31T05:00:00Z'),
      to: at('2026-01-01T05:00:00Z'),
    });
  });

  it('is an hour shorter or longer where clocks change', () => {
    const length = ({ from, to }: { from: number; to: number }): number => (to - from) / HOUR;
    expect(length(wholeDay(at('2026-03-29T10:00:00Z'), 0, 'Europe/Berlin'))).toBe(23);
    expect(length(wholeDay(at('2026-10-26T10:00:00Z'), 1, 'Europe/Berlin'))).toBe(25);
    expect(wholeDay(at('2026-10-26T10:00:00Z'), 1, 'Europe/Berlin').from).toBe(at('2026-10-24T22:00:00Z'));
  });
});
