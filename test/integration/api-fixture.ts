import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Query } from '../../src/api/index.js';
import { ClickHouse, migrateClickHouse } from '../../src/clickhouse/index.js';
import { Dice } from '../support/clickhouse-model.js';

/** Compiles the dashboard as it stands into a fresh folder, which the caller removes. */
export function compileWeb(): string {
  const dir = mkdtempSync(join(tmpdir(), 'callstream-web-'));
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
  execFileSync(process.execPath, [compiler, '-p', join(import.meta.dirname, '../../src/web/tsconfig.json'), '--outDir', dir], {
    stdio: 'pipe',
  });
  return dir;
}

/** The histogram of a column, as the comment of metrics_minutes says. */
const bins = (column: string, condition: string): string =>
  `sumMapIf([toUInt16(if(${column} <= 256, ${column}, ceil(256 + log(${column} / 256) / log(1.015))))], [toUInt64(1)], ${condition})`;

const YEARS = 3 * 365 * 86_400_000;

/** A ClickHouse database as `migrate` makes it, read with the product's client, and rows put straight into its tables. */
export class ApiFixture {
  readonly query: Query;
  readonly #url: string;
  readonly #client: ClickHouse;
  /** As the role has it: everything the API asks runs read-only and within limits. */
  readonly #reader: ClickHouse;
  #rolls = 0;

  private constructor(url: string) {
    this.#url = `${url}/?database=callstream`;
    this.#client = new ClickHouse({ url, username: 'default', password: '', database: 'callstream' });
    this.#reader = new ClickHouse({ url, username: 'default', password: '', database: 'callstream', readOnly: true });
    this.query = (sql, params) => this.#reader.query(sql, params);
  }

  static async create(url: string): Promise<ApiFixture> {
    const fixture = new ApiFixture(url);
    await migrateClickHouse(fixture.#client, { retention: { calls: YEARS, events: YEARS, metrics: YEARS } });
    return fixture;
  }

  async close(): Promise<void> {
    await Promise.all([this.#client.close(), this.#reader.close()]);
  }

  async insert(table: string, rows: object[]): Promise<void> {
    await this.#post(`INSERT INTO ${table} FORMAT JSONEachRow\n${rows.map((row) => JSON.stringify(row)).join('\n')}`);
  }

  /** Puts calls with their legs and inputs, and recomputes all rollups from `calls` in plain SQL (the product's roller works by minutes). */
  async put(stories: readonly Story[]): Promise<void> {
    await this.insert(
      'calls_latest',
      stories.map((story) => story.call),
    );
    await this.insert(
      'call_event_rows',
      stories.flatMap((story) => story.events),
    );
    await this.roll();
  }

  async roll(): Promise<void> {
    const sums = ['answered', 'no_answer', 'rejected', 'busy', 'cancelled', 'failed', 'unknown']
      .map((o) => `countIf(outcome = '${o}')`)
      .join(', ');
    await this.#post(`INSERT INTO metrics_minutes SELECT app_id, bucket, ${++this.#rolls}, now(), now(), groupArray(g) FROM (
         SELECT app_id, toStartOfMinute(started_at) AS bucket, (provider, call_type, media_type, count(), ${sums}, countIf(missed), countIf(missed_inclusive),
           sum(ring_ms), sum(talk_ms), ${bins('ring_ms', 'true')}, ${bins('talk_ms', "outcome = 'answered'")}) AS g
         FROM calls WHERE status = 'ended' AND end_reason != 'merged' GROUP BY app_id, bucket, provider, call_type, media_type
       ) GROUP BY app_id, bucket`);
  }

  async #post(body: string): Promise<void> {
    const response = await fetch(this.#url, { method: 'POST', body });
    const text = await response.text();
    if (!response.ok) throw new Error(`ClickHouse ${response.status}: ${text.slice(0, 2000)}`);
  }
}

interface StoredLeg {
  user_id: string;
  role: 'caller' | 'callee';
  outcome: string;
  rang_at: number | null;
  joined_at: number | null;
  left_at: number | null;
  talk_ms: number;
  missed: boolean;
  missed_inclusive: boolean;
  platform: string;
  media_joined_at: number | null;
  media_left_at: number | null;
  media_drops: number;
}

export interface Story {
  call: {
    call_id: string;
    app_id: string;
    started_at: number;
    status: string;
    outcome: string;
    ring_ms: number;
    talk_ms: number;
    missed: boolean;
    legs: StoredLeg[];
    [column: string]: unknown;
  };
  events: object[];
}

export interface Plot {
  id: string;
  startedAt: number;
  /** null: nothing has decided it yet. */
  outcome: string | null;
  ringMs: number;
  talkMs: number;
  caller: string;
  callees: string[];
  app?: string;
  media?: 'audio' | 'video';
  /** A call that was answered and goes on. */
  open?: boolean;
  /** Callees who reject an answered group call, and how long after its start, ms. */
  rejects?: Record<string, number>;
  anomalies?: string[];
  revision?: number;
}

const TERMINALS: Record<string, [caller: string, callee: string]> = {
  no_answer: ['call_missed', 'not_answer_call'],
  rejected: ['call_rejected', 'reject_call'],
  busy: ['call_busy', 'ignore_call'],
  cancelled: ['cancel_call', 'call_canceled'],
  failed: ['call_failed', ''],
};

/** The rows of one call as the workers would have made them from its callbacks. */
export function story(plot: Plot): Story {
  const { id, startedAt, outcome, caller, callees } = plot;
  const app = plot.app ?? '1400000001';
  const answered = outcome === 'answered';
  const ended = outcome !== null && plot.open !== true;
  const decidedAt = startedAt + plot.ringMs;
  const endedAt = ended ? decidedAt + (answered ? plot.talkMs : 0) : null;
  const missed = ended && outcome === 'no_answer';
  const inclusive = ended && ['no_answer', 'cancelled', 'busy'].includes(outcome ?? '');
  const group = callees.length > 1;
  const events: object[] = [];
  const tell = (user: string, event: string, at: number): void => {
    if (event === '') return;
    const delay = 90 + ((events.length * 37) % 160);
    const role = user === caller ? 'caller' : 'callee';
    events.push({
      provider: 'tencent',
      app_id: app,
      call_id: id,
      room_id: `room-${id}`,
      user_id: user,
      role,
      event,
      event_at: at,
      received_at: at + delay,
      source: 'tuicallkit',
      platform: role === 'caller' ? 'iOS' : 'Android',
      call_result: '',
      event_id: `${user}:${event}:${at}`,
      raw_topic: 'callstream.raw.tuicallkit',
      raw_partition: 0,
      raw_offset: events.length,
      raw_index: 0,
      detail: JSON.stringify({
        CallId: id,
        Event: event,
        UserId: user,
        Role: role,
        EventTime: at,
        RoomId: `room-${id}`,
        TotalNum: callees.length + 1,
      }),
      version: 1,
    });
  };
  tell(caller, 'start_call', startedAt);
  const legs: StoredLeg[] = [caller, ...callees].map((user, i) => {
    const role = i === 0 ? 'caller' : 'callee';
    const rang = role === 'callee' && outcome !== 'failed' ? startedAt + 300 + 60 * i : null;
    // In a group the last callee never picks up and the others join one after the other.
    const absent = group && answered && i === callees.length;
    const rejects = plot.rejects?.[user];
    const own = rejects !== undefined ? 'rejected' : absent ? 'no_answer' : (outcome ?? 'unknown');
    const joined = answered && !absent && rejects === undefined ? decidedAt + (role === 'callee' ? (i - 1) * 2400 : 120) : null;
    const left = joined === null || endedAt === null ? null : Math.max(joined, endedAt - (group ? i * 900 : 0));
    if (rang !== null) tell(user, 'receive_call', rang);
    if (joined !== null) tell(user, role === 'caller' ? 'call_accepted' : 'accept_call', joined);
    if (rejects !== undefined) tell(user, 'reject_call', startedAt + rejects);
    if (absent && endedAt !== null) tell(user, 'not_answer_call', Math.min(endedAt, startedAt + 30_000));
    if (left !== null) tell(user, 'call_end', left);
    if (!answered && outcome !== null) tell(user, TERMINALS[outcome]?.[role === 'caller' ? 0 : 1] ?? '', decidedAt);
    const legMissed = ended && role === 'callee' && own === 'no_answer';
    return {
      user_id: user,
      role,
      outcome: ended || answered ? own : 'unknown',
      rang_at: rang,
      joined_at: joined,
      left_at: left,
      talk_ms: joined !== null && left !== null ? left - joined : 0,
      missed: legMissed,
      missed_inclusive: ended && role === 'callee' && ['no_answer', 'busy', 'cancelled'].includes(own),
      platform: i === 0 ? 'iOS' : 'Android',
      media_joined_at: null,
      media_left_at: null,
      media_drops: 0,
    };
  });
  const changed = endedAt ?? (answered ? decidedAt : startedAt + 400);
  return {
    call: {
      provider: 'tencent',
      app_id: app,
      call_id: id,
      room_id: `room-${id}`,
      call_type: group ? 'group' : 'single',
      media_type: plot.media ?? 'video',
      caller,
      callees,
      total_users: callees.length + 1,
      status: ended ? 'ended' : answered ? 'active' : 'ringing',
      outcome: outcome ?? 'unknown',
      end_reason: !ended ? '' : answered ? 'normal' : outcome,
      started_at: startedAt,
      accepted_at: answered ? decidedAt : null,
      ended_at: endedAt,
      ring_ms: ended || answered ? plot.ringMs : 0,
      talk_ms: ended && answered ? plot.talkMs : 0,
      missed,
      missed_inclusive: inclusive,
      final: ended,
      sources: ['event'],
      anomalies: plot.anomalies ?? [],
      first_seen_at: startedAt + 120,
      updated_at: changed + 150,
      revision: plot.revision ?? 3,
      legs,
      state: '',
    },
    events,
  };
}

const PEOPLE = [
  'alice',
  'bob',
  'chloé',
  'dmitri',
  'emeka',
  'fatima',
  'guo.wei',
  'hana',
  'ivan',
  'júlia',
  'kofi',
  'lena',
  'mei',
  'noor',
  'oskar',
  'priya',
];
const MIX: [outcome: string, share: number][] = [
  ['answered', 0.66],
  ['no_answer', 0.13],
  ['cancelled', 0.09],
  ['rejected', 0.06],
  ['busy', 0.035],
  ['failed', 0.02],
  ['unknown', 0.005],
];

/** Believable traffic of a day that ends at `now`: busier in the middle, some calls still open at the end. */
export function day(now: number, count: number, seed = 7): Story[] {
  const dice = new Dice(seed);
  return Array.from({ length: count }, (_, i) => {
    const back = i < count * 0.3 ? dice.next() * 3_600_000 : 86_400_000 * (1 - Math.sqrt(dice.next()));
    const startedAt = Math.floor(now - back);
    const drawn = dice.next();
    const outcome = MIX.find((_, last) => drawn < MIX.slice(0, last + 1).reduce((sum, [, share]) => sum + share, 0))?.[0] ?? 'answered';
    const ringMs = Math.round(
      outcome === 'no_answer' ? 30_000 + dice.next() * 15_000 : 1500 + 9000 * dice.next() ** 2 + (dice.next() < 0.1 ? 14_000 : 0),
    );
    const talkMs = Math.round(4000 + 260_000 * dice.next() ** 3);
    const caller = dice.pick(PEOPLE);
    const others = PEOPLE.filter((name) => name !== caller);
    const first = dice.pick(others);
    const callees = dice.next() < 0.16 ? [...new Set([first, dice.pick(others), dice.pick(others), dice.pick(others)])] : [first];
    const over = startedAt + ringMs + (outcome === 'answered' ? talkMs : 0) < now;
    const ringing = startedAt + ringMs >= now;
    return story({
      id: `c${String(i).padStart(5, '0')}-${Math.floor(dice.next() * 1e9).toString(36)}`,
      startedAt,
      outcome: ringing ? null : over || outcome === 'answered' ? outcome : null,
      ringMs,
      talkMs,
      caller,
      callees,
      media: dice.next() < 0.6 ? 'video' : 'audio',
      open: !over,
      anomalies: dice.next() < 0.015 ? ['record_conflict'] : [],
    });
  });
}
