import type { Clock } from '../../telemetry/clock.js';

const EVERY_MS = 10_000;

/** Says what is new, the first line at once and further ones at most every ten seconds: logs keep what is said. */
export function sparing(say: (line: string) => void, clock: Clock): (line: string) => void {
  let last = '';
  let next = Number.NEGATIVE_INFINITY;
  return (line) => {
    if (line === last || clock.now() < next) return;
    last = line;
    next = clock.now() + EVERY_MS;
    say(line);
  };
}
