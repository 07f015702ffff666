import { expect, it } from 'vitest';
import { lowsOf, median, mostWithin, type Point, riseOf, secondHalf, slopeOf } from '../support/trend.js';

const line = (n: number, f: (i: number) => number): Point[] => Array.from({ length: n }, (_, i) => [i * 1_000, f(i)]);

it('finds a slow leak under a heap that saws, and none where there is none', () => {
  const saw = (i: number) => 100 + (i % 17) * 10;
  const lows = (f: (i: number) => number) => lowsOf(line(600, f), 60_000);
  expect(Math.abs(riseOf(lows(saw)))).toBeLessThan(1);
  expect(riseOf(lows((i) => saw(i) + i / 10))).toBeCloseTo(60 * 0.9, -1);
});

it('is not misled by a quarter of wild values', () => {
  const points = line(100, (i) => (i % 4 === 0 ? 1e6 * (i % 8) : 5 + i / 100));
  expect(slopeOf(points) * 1_000).toBeCloseTo(0.01, 3);
});

it('says nothing of too few points', () => {
  expect(slopeOf([])).toBe(0);
  expect(riseOf([[5, 5]])).toBe(0);
  expect(median([3, 1, 2, 10])).toBe(2.5);
  expect(secondHalf(line(5, (i) => i)).map(([, v]) => v)).toEqual([2, 3, 4]);
});

it('finds the most that a counter rises within a time, in the busiest stretch', () => {
  const counter = [10, 12, 20, 21, 40, 41].map((value, i): Point => [i * 1_000, value]);
  expect(mostWithin(counter, 1_000)).toBe(19);
  expect(mostWithin(counter, 2_000)).toBe(20);
  expect(mostWithin(counter, 3_000)).toBe(28);
  expect(mostWithin(counter, 60_000)).toBe(31);
  expect(mostWithin([], 1_000)).toBe(0);
});
