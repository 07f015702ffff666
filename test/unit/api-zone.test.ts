import { describe, expect, it } from 'vitest';
import { Zone } from '../../src/api/zone.js';

const HOUR = 3_600_000;
const iso = (at: number): string => new Date(at).toISOString();
const wall = (zone: Zone, at: number): string => iso(at + zone.offsetAt(at));

describe('a time zone', () => {
  it.each([
    ['Europe/Berlin', [23, 24, 25]],
    ['Australia/Lord_Howe', [23.5, 24, 24.5]],
    ['America/Havana', [23, 24, 25]],
    ['Africa/Cairo', [23, 24, 25]],
    ['Asia/Kolkata', [24]],
    ['UTC', [24]],
  ])('%s has days that begin with their date, one after the other', (name, lengths) => {
    const zone = new Zone(name);
    const days = zone.days(Date.UTC(2025, 11, 30, 12), Date.UTC(2027, 0, 2));
    const seen = new Set<number>();
    for (const [i, start] of days.entries()) {
      // The second before belongs to another date: there is no earlier moment of this day.
      expect(wall(zone, start - 1000).slice(0, 10)).not.toBe(wall(zone, start).slice(0, 10));
      if (i > 0) seen.add((start - days[i - 1]!) / HOUR);
    }
    expect([...seen].sort()).toEqual(lengths);
    expect(zone.startOfDay(days[5]! + 11 * HOUR)).toBe(days[5]);
    expect(zone.startOfDay(days[6]! - 1)).toBe(days[5]);
  });

  it('begins a day at one o’clock where midnight was left out, and at the first of two midnights', () => {
    const cairo = new Zone('Africa/Cairo');
    expect(wall(cairo, cairo.startOfDay(Date.parse('2026-04-24T12:00:00Z')))).toBe('2026-04-24T01:00:00.000Z');
    const havana = new Zone('America/Havana');
    expect(iso(havana.startOfDay(Date.parse('2026-11-01T12:00:00Z')))).toBe('2026-11-01T04:00:00.000Z');
  });

  it('knows when its offset changes', () => {
    expect(new Zone('Europe/Berlin').offsets(Date.UTC(2026, 0, 1), Date.UTC(2027, 0, 1))).toEqual([
      { from: Date.UTC(2026, 0, 1), offset: HOUR },
      { from: Date.UTC(2026, 2, 29, 1), offset: 2 * HOUR },
      { from: Date.UTC(2026, 9, 25, 1), offset: HOUR },
    ]);
    expect(new Zone('America/St_Johns').offsetAt(Date.UTC(2026, 0, 1))).toBe(-3.5 * HOUR);
  });
});
