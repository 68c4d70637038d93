/** A value at a time in milliseconds. */
export interface Point {
  readonly at: number;
  readonly value: number;
}

const HOUR_MS = 3_600_000;

/** Slope of the least-squares line in units an hour; null with fewer than two times. */
export function slopePerHour(points: readonly Point[]): number | null {
  const mean = (pick: (point: Point) => number): number =>
    points.reduce((sum, point) => sum + pick(point), 0) / points.length;
  const at = mean((point) => point.at);
  const value = mean((point) => point.value);
  const spread = points.reduce((sum, point) => sum + (point.at - at) ** 2, 0);
  if (!(spread > 0)) return null;
  return (points.reduce((sum, point) => sum + (point.at - at) * (point.value - value), 0) / spread) * HOUR_MS;
}

/** The lowest point of each `windowMs`: what is left of a heap between its collections. */
export function lowerEnvelope(points: readonly Point[], windowMs: number): readonly Point[] {
  const lowest = new Map<number, Point>();
  for (const point of points) {
    const window = Math.floor(point.at / windowMs);
    const known = lowest.get(window);
    if (known === undefined || point.value < known.value) lowest.set(window, point);
  }
  return [...lowest.values()];
}
