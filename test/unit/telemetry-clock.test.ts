import { beforeEach, describe, expect, it } from 'vitest';
import { SteadyClock } from '../../src/telemetry/clock.js';

const START = 1_790_000_000_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A machine: time passes, somebody sets its clock, it sleeps. */
let set: number;
let passed: number;
let slept: number;
let clock: SteadyClock;
const pass = (ms: number): void => {
  passed += ms;
};

beforeEach(() => {
  [set, passed, slept] = [0, 0, 0];
  clock = new SteadyClock({ wall: () => START + set + passed + slept, ticks: () => 77 + passed, uptime: () => 5_000 + passed + slept });
});

describe('the clock of a process', () => {
  it('is the machine’s, and follows what time synchronisation does to it', () => {
    expect(clock.now()).toBe(START);
    for (let i = 0; i < 100; i += 1) {
      set += 3_000;
      pass(MINUTE);
      expect(clock.now()).toBe(START + set + passed);
    }
    expect(clock.doubted).toBe(0);
  });

  it.each([HOUR, -HOUR, 30 * DAY, -30 * DAY])('goes on as before when the machine’s jumps by %i ms, and when it comes back', (jump) => {
    set = jump;
    expect(clock.now()).toBe(START);
    pass(9 * MINUTE);
    expect(clock.now()).toBe(START + passed);
    expect(clock.doubted).toBe(jump);
    set = 0;
    expect(clock.now()).toBe(START + passed);
    expect(clock.doubted).toBe(0);
    // The time for which the first leap stood does not count for the next.
    set = jump;
    pass(2 * MINUTE);
    expect(clock.now()).toBe(START + passed);
    pass(7 * MINUTE);
    expect(clock.now()).toBe(START + passed);
  });

  it('believes what has stood for ten minutes', () => {
    set = HOUR;
    clock.now();
    pass(10 * MINUTE);
    expect(clock.now()).toBe(START + HOUR + passed);
    expect(clock.doubted).toBe(0);
    set = 0;
    expect(clock.now()).toBe(START + HOUR + passed);
    pass(10 * MINUTE);
    expect(clock.now()).toBe(START + passed);
  });

  it('gives each leap its own time', () => {
    set = HOUR;
    clock.now();
    pass(9 * MINUTE);
    set = 2 * HOUR;
    expect(clock.now()).toBe(START + passed);
    pass(9 * MINUTE);
    expect(clock.now()).toBe(START + passed);
    pass(MINUTE);
    expect(clock.now()).toBe(START + 2 * HOUR + passed);
  });

  it('takes no sleep of the machine for a leap, and sees one beside it', () => {
    slept = 8 * HOUR;
    expect(clock.now()).toBe(START + slept);
    expect(clock.doubted).toBe(0);
    set = DAY;
    slept += HOUR;
    expect(clock.now()).toBe(START + slept);
    expect(clock.doubted).toBe(DAY);
  });
});
