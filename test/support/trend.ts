/** A measured value and when it was measured, ms. */
export type Point = readonly [at: number, value: number];

/** The value in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Theil and Sen's estimate, per ms: the median of the slopes between all pairs of points. Up to 29% of the points may be anything. */
export function slopeOf(points: readonly Point[]): number {
  const slopes = points.flatMap(([at, value], i) => points.slice(0, i).map(([before, was]) => (value - was) / (at - before)));
  return slopes.length === 0 ? 0 : median(slopes);
}

/** The least value of each stretch of time: of a heap, what is left when the garbage has gone. */
export function lowsOf(points: readonly Point[], stretchMs: number): Point[] {
  const lows = new Map<number, Point>();
  for (const point of points) {
    const stretch = Math.floor(point[0] / stretchMs);
    const low = lows.get(stretch);
    if (low === undefined || point[1] < low[1]) lows.set(stretch, point);
  }
  return [...lows.values()];
}

/** How much a value rises over the points, by its slope. */
export const riseOf = (points: readonly Point[]): number => (points.length < 2 ? 0 : slopeOf(points) * (points.at(-1)![0] - points[0]![0]));

export const secondHalf = (points: readonly Point[]): Point[] => points.slice(points.length >> 1);

/** The most that a counter rises in any stretch of so long a time that the points hold, ms; from its first point where they hold less. */
export const mostWithin = (points: readonly Point[], ms: number): number =>
  Math.max(0, ...points.map(([at, value]) => value - (points.findLast(([before]) => before <= at - ms) ?? points[0]!)[1]));
