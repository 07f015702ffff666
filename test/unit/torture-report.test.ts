import { describe, expect, it } from 'vitest';
import { verifiedFigures } from '../support/torture.js';
import { inserted, markdown, sums } from '../torture/report.mjs';

const head = 'compared: 5 requests\n  deliveries: received 183,370 = folded 147,400 + duplicates 35,154 + dead 816\n';

describe('what a verification printed', () => {
  it('is read as counts', () => {
    expect(verifiedFigures(`${head}0 differences\n`)).toEqual({ events: 183_370, lost: 0, doubled: 0, differing: 0 });
    const few = `${head}3 differences\n  missing call: a b\n  double revision: c: 2 is there 2 times\n  leg: d: talk_ms should be 1 and is 2\n`;
    expect(verifiedFigures(few)).toMatchObject({ lost: 1, doubled: 1, differing: 1 });
    const many = `${head}1,030 differences\n  missing call: a b\n  … in all: missing call 1,000, lost request 9, double call 1, concurrency minute 20\n`;
    expect(verifiedFigures(many)).toMatchObject({ lost: 1_009, doubled: 1, differing: 20 });
  });

  it('counts as a difference when it is not there', () => {
    expect(verifiedFigures('the simulator was killed')).toEqual({ events: 0, lost: 0, doubled: 0, differing: 1 });
  });
});

describe('the report of a torture run', () => {
  const figures = [
    { scenario: 'one', faults: 3, events: 1_000, lost: 1, doubled: 0, differing: 2, note: 'a | b' },
    { scenario: 'two', faults: { 'before-send': 3, 'after-send': 4 }, events: 2_000, lost: 0, doubled: 5, differing: 0 },
  ];
  const run = { command: 'npm run torture -- --seed 7', seed: 7, commit: 'abc', date: '2026-01-01', machine: '2 × x', minutes: 12.4 };
  const files = [
    { name: 'test/fault/a.test.ts', passed: 3, failed: 0, seconds: 61.5 },
    { name: 'test/fault/b.test.ts', passed: 1, failed: 1, seconds: 5 },
  ];

  it('sums what was counted, and says how often each point was hit', () => {
    expect(sums(figures)).toEqual({ faults: 10, events: 3_000, lost: 1, doubled: 5, differing: 2 });
    const text = markdown(run, files, figures);
    expect(text).toContain('**10 faults, 3,000 events: 1 lost, 5 doubled, 2 differing.** 4 tests passed, 1 failed.');
    expect(text).toContain('| one | 3 | 1,000 | 1 | 0 | 2 | a \\| b |');
    expect(text).toContain('two: before-send 3, after-send 4.');
    expect(text).toContain('| test/fault/b.test.ts | 1 | 1 | 5 |');
  });

  it('takes the place of the last one in the page, and nothing else', () => {
    const page = 'before\n<!-- npm run torture: begin -->\nold\n<!-- npm run torture: end -->\nafter\n';
    const once = inserted(page, 'new');
    expect(once).toBe('before\n<!-- npm run torture: begin -->\nnew\n<!-- npm run torture: end -->\nafter\n');
    expect(inserted(once, 'newer')).toBe(once.replace('new\n', 'newer\n'));
    expect(() => inserted('no place', 'x')).toThrow('no place');
  });
});
