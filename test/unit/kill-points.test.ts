import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { REBUILD_FAULT_POINTS } from '../../src/cli/rebuild/rebuild.js';
import { FAULT_POINTS } from '../../src/stream/types.js';
import { KILL_POINTS } from '../support/kill-points.js';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));

/** `fault?.('sink:before-rows-insert')`, and what the stream runtime calls its own. */
const CALL = /\bfault(?:Point)?(?:\?\.)?\(\s*'([^']+)'/g;

test('the named points are those that the code passes', () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const passed = new Set(files.flatMap((name) => [...readFileSync(join(SRC, name), 'utf8').matchAll(CALL)].map((match) => match[1])));
  const others = Object.entries(KILL_POINTS).flatMap(([swept, points]) => (swept === 'sessions' || swept === 'events' ? [] : points));
  // test/integration/rebuild.test.ts kills at those of a rebuild: it is for a system that has come to harm, not for one under traffic.
  expect([...passed].sort()).toEqual([...FAULT_POINTS, ...others, ...REBUILD_FAULT_POINTS].sort());
});

test('every point has one name', () => {
  const all: readonly string[] = Object.values(KILL_POINTS).flat();
  expect(new Set(all).size).toBe(all.length);
});
