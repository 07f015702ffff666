import { describe, expect, it } from 'vitest';
import { findingsOf, verdictOf } from '../../src/web/parts/trust.js';
import type { HealthAnswer, Pipeline, SourceHealth } from '../../src/web/parts/types-operations.js';

const NOW = 1_764_158_400_000;
const HOUR = 3_600_000;
const source = (more: Partial<SourceHealth> = {}): SourceHealth => ({
  app_id: '1',
  source: 'tuicallkit',
  received: 3600,
  folded: 3600,
  duplicates: 0,
  dead: 0,
  calls_from_records_only: 0,
  undelivered: 0,
  delay_p50_ms: 100,
  delay_p95_ms: 200,
  last_at: NOW - 1000,
  ...more,
});
const health = (more: Partial<HealthAnswer> = {}): HealthAnswer => ({
  as_of: NOW,
  from: NOW - HOUR,
  to: NOW,
  sources: [source()],
  coverage: [],
  dead_letters: [],
  ...more,
});
const pipeline = (more: Partial<Pipeline> = {}): Pipeline => ({
  admins: [{ address: 'a:1', ready: true, problems: [] }],
  workers: [{ worker: 'sessions', lag: 3 }],
  spool: { events: 0, bytes: 0, quarantined: 0, failures: 0 },
  limits: [],
  sweeps: [],
  hosts_away: [],
  ...more,
});
const kinds = (of: HealthAnswer, at: Pipeline | null = pipeline()) => findingsOf(of, at).filter(({ kind }) => kind !== 'good');

describe('whether the numbers can be trusted', () => {
  it('yes, when all is well; as far as is known, when the roles are not', () => {
    expect(kinds(health())).toEqual([]);
    expect(verdictOf(findingsOf(health(), pipeline())).kind).toBe('good');
    const unknown = findingsOf(health(), null);
    expect(unknown.filter(({ kind }) => kind === 'unknown')).toHaveLength(1);
    expect(verdictOf(unknown).detail).toContain('As far as this server can tell');
  });

  it.each<[string, number, number, boolean]>([
    ['just now', 3600, 1000, false],
    ['four minutes ago, usually every second', 3600, 4 * 60_000, false],
    ['six minutes ago, usually every second', 3600, 6 * 60_000, true],
    ['six minutes ago, usually every half hour', 2, 6 * 60_000, false],
    ['half an hour ago, usually every minute', 60, 30 * 60_000, true],
  ])('a source last heard %s', (_, received, ago, silent) => {
    expect(kinds(health({ sources: [source({ received, last_at: NOW - ago })] })).length > 0).toBe(silent);
  });

  it('a period that is over says nothing of who is silent now', () => {
    const past = { from: NOW - 10 * HOUR, to: NOW - 9 * HOUR, sources: [source({ last_at: NOW - 9 * HOUR - 20 * 60_000 })] };
    expect(kinds(health(past))).toEqual([]);
  });

  it.each<[string, number, number, boolean]>([
    ['a hundred where one comes every second', 3_600, 100, false],
    ['more than a hundred where one comes every second', 3_600, 101, true],
    ['what comes in ten seconds', 720_000, 2_000, false],
    ['more than comes in ten seconds', 720_000, 2_001, true],
  ])('records on their way: %s', (_, received, lag, late) => {
    const workers = [
      { worker: 'sessions', lag: 1 },
      { worker: 'sink', lag: lag - 1 },
    ];
    expect(kinds(health({ sources: [source({ received })] }), pipeline({ workers })).length > 0).toBe(late);
  });

  it.each<[Partial<HealthAnswer>, Partial<Pipeline>, string, string]>([
    [{ sources: [] }, {}, 'warn', 'Nothing arrived in this period'],
    [{ sources: [source({ dead: 3 })] }, {}, 'warn', '3 of 3,600 inputs could not be processed (less than 0.1%)'],
    [{ sources: [source({ dead: 72 })] }, {}, 'bad', '72 of 3,600 inputs could not be processed (2.0%)'],
    [{ coverage: [{ app_id: '1', value: 0.9, n: 50 }] }, {}, 'warn', 'Callbacks arrived for 90.0% of the calls of app 1'],
    [{ sources: [source({ undelivered: 4 })] }, {}, 'warn', '4 pushes of the vendor failed'],
    [{}, { admins: [{ address: 'a:1', ready: null, problems: [] }] }, 'bad', 'a:1 does not answer'],
    [{}, { admins: [{ address: 'a:1', ready: false, problems: ['sink is starting'] }] }, 'bad', 'Not every role can work'],
    [{}, { admins: [{ address: 'a:1', ready: true, problems: ['poll: the keys are refused'] }] }, 'warn', 'poll: the keys are refused'],
    [{}, { workers: [{ worker: 'sink', lag: 101 }] }, 'bad', '101 records are not worked off yet'],
    [{}, { spool: { events: 9, bytes: 1, quarantined: 0, failures: 0 } }, 'bad', '9 callbacks wait in the spool'],
    [{}, { spool: { events: 0, bytes: 0, quarantined: 1, failures: 0 } }, 'bad', 'The disk of the spool has made trouble'],
    [
      {},
      { sweeps: [{ source: 'call-record', app_id: '1', swept_to: NOW, stopped: true, lost_ms: 0 }] },
      'bad',
      'The vendor refuses to be asked by call-record of app 1',
    ],
    [
      {},
      { sweeps: [{ source: 'call-record', app_id: '1', swept_to: NOW - 4 * HOUR, stopped: false, lost_ms: 0 }] },
      'warn',
      'call-record of app 1 was last swept 4 h ago',
    ],
    [{}, { hosts_away: ['api.example'] }, 'warn', 'The vendor’s api.example does not answer'],
    [
      {},
      { limits: [{ source: 'call-record', operation: 'page', limit_per_second: 10, per_second: 9.8, slow_downs: 0 }] },
      'warn',
      'call-record is at the vendor’s limit',
    ],
  ])('%j %j', (of, at, kind, title) => {
    expect(kinds(health(of), pipeline(at)).map((finding) => [finding.kind, finding.title])).toEqual([[kind, title]]);
    expect(verdictOf(findingsOf(health(of), pipeline(at))).kind).toBe(kind);
  });
});
