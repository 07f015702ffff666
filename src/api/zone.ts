const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Local time of an IANA time zone. All moments are epoch milliseconds; the clock on the wall is written as if it were UTC. */
export class Zone {
  /** In the spelling of the time zone database. */
  readonly name: string;
  readonly #format: Intl.DateTimeFormat;

  /** @throws RangeError when there is no such zone */
  constructor(name: string) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    this.name = this.#format.resolvedOptions().timeZone;
  }

  /** Local time minus UTC, ms. */
  offsetAt(at: number): number {
    if (this.name === 'UTC') return 0;
    const part: Record<string, number> = {};
    for (const { type, value } of this.#format.formatToParts(at)) part[type] = Number(value);
    const wall = Date.UTC(part.year!, part.month! - 1, part.day!, part.hour!, part.minute!, part.second!);
    return wall - Math.floor(at / 1000) * 1000;
  }

  /** The first moment of the local day of `at`: midnight, or what follows it where clocks were put forward over midnight. */
  startOfDay(at: number): number {
    const midnight = Math.floor((at + this.offsetAt(at)) / DAY) * DAY;
    const guess = midnight - this.offsetAt(at);
    // Where the clock changes between midnight and `at`, midnight has the offset of before; there may be two midnights, or none.
    const start = midnight - this.offsetAt(guess);
    if (this.#wall(start) === midnight && this.#wall(start - 1000) < midnight) return start;
    return firstWhere(guess - 4 * HOUR, guess + 4 * HOUR, (moment) => this.#wall(moment) >= midnight);
  }

  /** Starts of the local days that cover [from, to), and of the one after. */
  days(from: number, to: number): number[] {
    const starts = [this.startOfDay(from)];
    // Days have 23 to 25 hours (24 and a half in places): 30 hours after its start it is the next one everywhere.
    while (starts.at(-1)! < to) starts.push(this.startOfDay(starts.at(-1)! + 30 * HOUR));
    return starts;
  }

  /** Stretches of one offset that cover [from, to). */
  offsets(from: number, to: number): { from: number; offset: number }[] {
    const found = [{ from, offset: this.offsetAt(from) }];
    for (let at = from; at < to; at += DAY) {
      const { offset } = found.at(-1)!;
      const next = Math.min(at + DAY, to);
      if (this.offsetAt(next) === offset) continue;
      const change = firstWhere(at, next, (moment) => this.offsetAt(moment) !== offset);
      if (change < to) found.push({ from: change, offset: this.offsetAt(change) });
    }
    return found;
  }

  #wall(at: number): number {
    return at + this.offsetAt(at);
  }
}

/** The smallest whole second in (low, high] for which a condition holds that, once it holds, goes on to. */
function firstWhere(low: number, high: number, holds: (at: number) => boolean): number {
  let [no, yes] = [Math.floor(low / 1000), Math.ceil(high / 1000)];
  while (yes - no > 1) {
    const middle = Math.floor((no + yes) / 2);
    if (holds(middle * 1000)) yes = middle;
    else no = middle;
  }
  return yes * 1000;
}
