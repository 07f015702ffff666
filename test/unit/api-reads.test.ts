import { describe, expect, it } from 'vitest';
import {
  type CallFilter,
  type CallView,
  callsStatement,
  changesStatement,
  countStatement,
  readCalls,
  walkCalls,
} from '../../src/api/calls.js';
import { planRange } from '../../src/api/plan.js';
import type { Query, Row, Statement } from '../../src/api/query.js';
import { alertsStatement } from '../../src/api/routes/alerts.js';
import { readCall } from '../../src/api/routes/call.js';
import { concurrencyStatement } from '../../src/api/routes/concurrency.js';
import { readDeadLetters } from '../../src/api/routes/dead-letters.js';
import { reasonsStatement, receivedStatement, recordsOnlyStatement, repeatedStatement } from '../../src/api/routes/health.js';
import { calleesStatement, pairsStatement } from '../../src/api/routes/missed.js';
import { countsStatement, openStatement, percentilesStatement, seriesStatement, weekStatement } from '../../src/api/routes/overview.js';
import { recordingsStatement } from '../../src/api/routes/recordings.js';
import { contactsStatement, historyStatement, totalsStatement } from '../../src/api/routes/users.js';

const NOW = Date.parse('2026-03-04T10:17:23.456Z');
const HOUR = 3_600_000;
const POISON = "x'; DROP TABLE calls; --";
const page = (more: CallFilter = {}): CallFilter & { limit: number } => ({ limit: 2, ...more });
const row = (at: number, call_id: string): Row => ({
  provider: 'tencent',
  app_id: 'a',
  call_id,
  started_at: at,
  callees: [],
  sources: [],
  anomalies: [],
});

describe('statements', () => {
  const plan = planRange({ window: HOUR }, NOW);
  const scope = { app: POISON, type: 'single', media: 'video' } as const;
  const full: CallFilter = {
    ...scope,
    from: NOW - 5,
    to: NOW,
    outcome: ['answered'],
    status: ['ended'],
    missed: true,
    user: POISON,
    room: POISON,
    call: POISON,
    q: POISON,
  };
  const user = { app: POISON, user: POISON, from: NOW - HOUR, to: NOW };
  const source = { app: POISON, source: POISON };
  const pair = { app: POISON, caller: POISON, callee: POISON };
  const within = { from: NOW - HOUR, to: NOW };
  const after: [number, string, string] = [NOW, POISON, POISON];
  const all: Record<string, Statement> = {
    counts: countsStatement(plan, scope),
    series: seriesStatement(plan, scope),
    ring: percentilesStatement('ring', plan, scope),
    talk: percentilesStatement('talk', plan, scope),
    open: openStatement(plan, scope),
    week: weekStatement(plan, scope, [{ from: NOW }]),
    concurrency: concurrencyStatement(plan, scope),
    calls: callsStatement(full, [NOW, POISON, POISON, POISON], NOW - HOUR, 10),
    'count of calls': countStatement(full),
    changes: changesStatement(NOW, NOW - HOUR, POISON, 10),
    'history of a user': historyStatement(user, [NOW, POISON, POISON, POISON], 10),
    'totals of a user': totalsStatement(user),
    'contacts of a user': contactsStatement(user, 10),
    missed: pairsStatement(pair, within, [NOW, POISON, POISON, POISON], 10),
    callees: calleesStatement(pair, within),
    recordings: recordingsStatement(
      { ...within, app: POISON, status: ['failed'], exceptions: true, room: POISON, task: POISON },
      after,
      10,
    ),
    alerts: alertsStatement({ ...within, app: POISON, rule: POISON, state: ['firing'] }, after, 10),
    received: receivedStatement(plan, source),
    repeated: repeatedStatement(plan, source),
    'records only': recordsOnlyStatement(plan, source),
    reasons: reasonsStatement(plan, source),
  };

  it.each(Object.entries(all))('%s binds every value and writes none into its text', (_name, { sql, params }) => {
    expect(sql).not.toContain('DROP');
    const named = new Set([...sql.matchAll(/\{(\w+):[\w()]+\}/g)].map((match) => match[1]));
    expect(new Set(Object.keys(params))).toEqual(named);
  });

  it('of dead letters too', async () => {
    const asked: Statement[] = [];
    await readDeadLetters(
      async (sql, params) => {
        asked.push({ sql, params });
        return [];
      },
      { ...within, app: POISON, stage: POISON, reason: POISON, source: POISON, key: POISON },
      after,
      10,
    );
    expect(asked).toHaveLength(1);
    expect(asked[0]!.sql).not.toContain('DROP');
    expect(new Set(Object.keys(asked[0]!.params))).toEqual(
      new Set([...asked[0]!.sql.matchAll(/\{(\w+):[\w()]+\}/g)].map((match) => match[1])),
    );
  });

  it('keep the same text whatever the values are', () => {
    expect(callsStatement({ ...full, user: 'other' }, [1, 'p', 'a', 'c'], 1, 1).sql).toBe(all.calls!.sql);
  });
});

describe('reading one call', () => {
  const asked: { sql: string; params: Readonly<Record<string, unknown>> }[] = [];
  const answer =
    (call: Row): Query =>
    async (sql, params) => {
      asked.push({ sql, params });
      return sql.includes('FROM calls ') ? [call] : [];
    };
  const events = () => asked.filter(({ sql }) => sql.includes('FROM call_events ')).at(-1)!;

  it('looks for the inputs of a channel session under its channel, while it lasted', async () => {
    const session = { ...row(NOW - HOUR, 'channel:room:x'), call_type: 'channel', room_id: 'room', ended_at: NOW };
    expect(await readCall(answer(session), 'aliyun', 'a', 'channel:room:x')).toMatchObject({ call: { room_id: 'room' }, events: [] });
    expect(events().params).toMatchObject({ call: 'channel:room', from: NOW - HOUR, to: NOW });
    await readCall(answer({ ...session, ended_at: null }), 'aliyun', 'a', 'channel:room:x');
    expect(events().sql).not.toContain('{to:Int64}');
    await readCall(answer(row(NOW, 'c')), 'tencent', 'a', 'c');
    expect(events().params).toEqual({ provider: 'tencent', app: 'a', call: 'c' });
  });
});

describe('reading a page of calls', () => {
  /** Answers every query with these rows and notes how far back it was to look. */
  const recording = (rows: Row[]): { floors: unknown[]; query: Query } => {
    const floors: unknown[] = [];
    const query: Query = async (_sql, params) => {
      floors.push(params.from);
      return rows;
    };
    return { floors, query };
  };

  it('stops at the first look-back that fills the page', async () => {
    const { floors, query } = recording([row(NOW - 1, 'c'), row(NOW - 2, 'b'), row(NOW - 3, 'a')]);
    const found = await readCalls(query, page(), null, NOW);
    expect(floors).toEqual([NOW - HOUR]);
    expect(found.calls.map((call) => call.call_id)).toEqual(['c', 'b']);
    expect(found.next_cursor).not.toBeNull();
  });

  it('looks as far back as there is anything when the calls are few', async () => {
    const { floors, query } = recording([row(NOW - 1, 'c')]);
    const found = await readCalls(query, page(), null, NOW);
    expect(floors).toEqual([NOW - HOUR, NOW - 24 * HOUR, NOW - 720 * HOUR, undefined]);
    expect(found.next_cursor).toBeNull();
  });

  it('never looks further back than it was asked to', async () => {
    const { floors, query } = recording([]);
    await readCalls(query, page({ from: NOW - 2 * HOUR }), null, NOW);
    expect(floors).toEqual([NOW - HOUR, NOW - 2 * HOUR]);
  });

  it('searches everything at once for an id', async () => {
    const { floors, query } = recording([]);
    await readCalls(query, page({ q: 'someone' }), null, NOW);
    expect(floors).toEqual([undefined]);
  });
});

describe('walking through all calls', () => {
  /** A table of calls, newest first, that answers as ClickHouse would. */
  const table = (starts: readonly number[]) => {
    const asked: { from: number; to: number }[] = [];
    const query: Query = async (_sql, { from, to, limit, at, afterCall }) => {
      asked.push({ from: Number(from), to: Number(to) });
      return starts
        .map((start, i) => row(start, String(i).padStart(6, '0')))
        .filter(({ started_at }) => Number(started_at) >= Number(from) && Number(started_at) < Number(to))
        .filter(
          ({ started_at, call_id }) =>
            at === undefined || Number(started_at) < Number(at) || (started_at === at && String(call_id) < String(afterCall)),
        )
        .sort((a, b) => Number(b.started_at) - Number(a.started_at) || (String(a.call_id) < String(b.call_id) ? 1 : -1))
        .slice(0, Number(limit));
    };
    return { asked, query };
  };
  const walk = async (query: Query, filter: CallFilter): Promise<CallView[]> => {
    const all: CallView[] = [];
    for await (const piece of walkCalls(query, filter, NOW)) all.push(...piece);
    return all;
  };

  it('shows each once, newest first, however many begin at one moment', async () => {
    const starts = [...Array.from({ length: 12_345 }, (_, i) => NOW - Math.floor(i / 7000) * 60_000), NOW - 900 * 24 * HOUR, NOW + HOUR];
    const { query } = table(starts);
    const all = await walk(query, {});
    expect(all).toHaveLength(starts.length);
    expect(new Set(all.map((call) => call.call_id)).size).toBe(starts.length);
    expect(all.map((call) => call.started_at)).toEqual([...starts].sort((a, b) => b - a));
  });

  it('asks for ever longer stretches without a gap, and not beyond the period', async () => {
    const { asked, query } = table([]);
    await walk(query, { from: NOW - 100 * HOUR, to: NOW });
    expect(asked[0]).toEqual({ from: NOW - HOUR, to: NOW });
    expect(asked.at(-1)!.from).toBe(NOW - 100 * HOUR);
    asked.slice(1).forEach(({ to }, i) => {
      expect(to).toBe(asked[i]!.from);
    });
    expect(asked.length).toBeLessThan(6);
  });

  it('looks for an id everywhere at once', async () => {
    const { asked, query } = table([NOW - 1]);
    expect(await walk(query, { user: 'x' })).toHaveLength(1);
    expect(asked).toHaveLength(1);
  });
});
