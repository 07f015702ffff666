import { describe, expect, it } from 'vitest';
import { type CallsParams, planRange } from '../../src/api/params.js';
import type { Query, Row } from '../../src/api/query.js';
import {
  callsStatement,
  changesStatement,
  countsStatement,
  percentilesStatement,
  readCall,
  readCalls,
  seriesStatement,
} from '../../src/api/reads.js';

const NOW = Date.parse('2026-03-04T10:17:23.456Z');
const HOUR = 3_600_000;
const POISON = "x'; DROP TABLE calls; --";
const page = (more: Partial<CallsParams> = {}): CallsParams => ({ limit: 2, ...more });
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
  const full = page({
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
  });
  const all = {
    counts: countsStatement(plan, scope),
    series: seriesStatement(plan, scope),
    percentiles: percentilesStatement(plan, scope),
    calls: callsStatement(full, [NOW, POISON, POISON, POISON], NOW - HOUR),
    changes: changesStatement(NOW, NOW - HOUR, POISON, 10),
  };

  it.each(Object.entries(all))('%s binds every value and writes none into its text', (_name, { sql, params }) => {
    expect(sql).not.toContain('DROP');
    const named = new Set([...sql.matchAll(/\{(\w+):[\w()]+\}/g)].map((match) => match[1]));
    expect(new Set(Object.keys(params))).toEqual(named);
  });

  it('keep the same text whatever the values are', () => {
    expect(callsStatement({ ...full, user: 'other' }, [1, 'p', 'a', 'c'], 1).sql).toBe(all.calls.sql);
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
