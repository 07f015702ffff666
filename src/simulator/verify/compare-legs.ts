import { getOrMake } from '../maps.js';
import { callKey } from '../truth/deliveries.js';
import type { TruthLeg } from '../truth/leg.js';
import { isOwnChannel } from './compare-sessions.js';
import { type Comparison, channelNamed, nameOf } from './comparison.js';
import { shorten } from './differences.js';
import { type Standing, standingsOf } from './fate.js';
import { legRows } from './rows.js';

interface Facts {
  status: string;
  started_at: number;
  legs: TruthLeg[];
}

/** `call_legs` row by row. Returns the number of legs compared. */
export async function compareLegs(c: Comparison): Promise<number> {
  let compared = 0;
  const from = c.clock.now();
  for await (const page of legRows(c.query, c.apps)) {
    const to = c.clock.now();
    const byCall = new Map<string, typeof page>();
    for (const row of page) {
      if (isOwn(c, row)) getOrMake(byCall, callKey(row.app_id, row.call_id), () => []).push(row);
    }
    for (const [key, rows] of byCall) {
      const standings = standingsOfNamed(c, key, from, to);
      const expected = new Set(standings[0]?.truth.legs.map((leg) => leg.user_id));
      for (const row of rows) {
        const what = `${nameOf(row)} user ${JSON.stringify(shorten(row.user_id))}`;
        // A timeout changes what legs say, never whose they are; a merged session has none.
        if (!expected.has(row.user_id)) {
          c.differences.add('invented leg', what);
          continue;
        }
        compared++;
        const readings = standings.map(({ truth }) => ({
          ...truth.legs.find((leg) => leg.user_id === row.user_id),
          call_started_at: truth.started_at,
        }));
        c.differences.fields('leg', what, readings, row);
        // A call closed by a timeout is published again now and then, so a later reading may show a later revision; never an earlier one.
        if (Number(row.revision) < (c.revisions.get(key) ?? 0))
          c.differences.add('leg', `${what}: revision ${row.revision} is older than its call's`);
        expected.delete(row.user_id);
      }
    }
    // A call's legs are on one page; calls without any row on their page are found by the total below.
  }
  const total = [...c.calls.values(), ...c.sessions.values()].reduce((n, own) => n + own.fate.open.legs.length, 0);
  if (compared !== total) c.differences.add('missing leg', `${total} legs in all, ${compared} found`);
  return compared;
}

function isOwn(c: Comparison, { app_id, call_id }: { app_id: string; call_id: string }): boolean {
  if (c.calls.has(callKey(app_id, call_id))) return true;
  const channel = channelNamed(call_id);
  return channel !== null && isOwnChannel(c, app_id, channel);
}

function standingsOfNamed(c: Comparison, key: string, from: number, to: number): Standing<Facts>[] {
  const call = c.calls.get(key);
  if (call !== undefined) return standingsOf<Facts>(call.fate, c.settle, from, to);
  const session = c.named.get(key);
  return session === undefined ? [] : standingsOf<Facts>(session.fate, c.settle, from, to);
}
