/** Collects differences: the first few in words, all of them as counts by kind. */
export class Differences {
  readonly counts: Record<string, number> = {};
  readonly first: string[] = [];
  total = 0;

  constructor(readonly keep = 20) {}

  add(kind: string, text: string): void {
    this.total++;
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    if (this.first.length < this.keep) this.first.push(`${kind}: ${text}`);
  }

  merge(other: Differences): void {
    this.total += other.total;
    for (const [kind, n] of Object.entries(other.counts)) this.counts[kind] = (this.counts[kind] ?? 0) + n;
    this.first.push(...other.first.slice(0, Math.max(0, this.keep - this.first.length)));
  }

  /**
   * Compares field by field; arrays and nulls by value. Where several readings are right, the nearest one counts. Returns the number of differing fields.
   */
  fields(kind: string, what: string, expected: object | readonly object[], actual: object): number {
    const theirs = actual as Record<string, unknown>;
    const readings = (Array.isArray(expected) ? expected : [expected]) as readonly object[];
    const [wrong = []] = readings
      .map((reading) => Object.entries(reading).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(theirs[name])))
      .sort((a, b) => a.length - b.length);
    if (wrong.length > 0) {
      this.add(
        kind,
        `${what}: ${wrong.map(([name, value]) => `${name} should be ${show(name, value)} and is ${show(name, theirs[name])}`).join('; ')}`,
      );
    }
    return wrong.length;
  }
}

/** Long ids in short, times readable. */
export function show(name: string, value: unknown): string {
  if (typeof value === 'number' && /(_at|bucket)$/.test(name)) return `${value} (${new Date(value).toISOString()})`;
  const text = JSON.stringify(value) ?? 'absent';
  return text.length > 120 ? `${text.slice(0, 80)}…${text.length} characters` : text;
}

export const shorten = (id: string): string => (id.length > 80 ? `${id.slice(0, 60)}…(${id.length})` : id);
