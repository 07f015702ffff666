import { Ledger } from '../../src/simulator/ledger.js';
import type { PlanOptions } from '../../src/simulator/plan.js';
import { timelinesOf } from '../../src/simulator/traffic.js';
import { type TruthCall, truthOf } from '../../src/simulator/truth/call.js';
import { sessionsOf, type TruthSession } from '../../src/simulator/truth/channel.js';
import { channelEventKey, TruthDeliveries } from '../../src/simulator/truth/deliveries.js';
import { isRecordingOf, missedUnreturned, type Paired } from '../../src/simulator/truth/pairs.js';
import { SOURCE_NAMES, type SourceName } from '../../src/simulator/truth/read-source.js';
import { truthOfRecording } from '../../src/simulator/truth/recording.js';
import { concurrency, type Measured, rollup } from '../../src/simulator/truth/rollups.js';
import type { VendorBook } from '../../src/simulator/vendor/book.js';
import { CallArchive } from '../../src/simulator/vendor/call-archive.js';
import type { CallFacts } from '../../src/simulator/vendor/facts.js';
import { PushLog } from '../../src/simulator/vendor/push-log.js';
import { Rooms } from '../../src/simulator/vendor/rooms.js';
import type { PlayedApp } from '../../src/simulator/verify/played.js';
import type { RawTopicRecord, ShownUsers, TaskRecord, VerifyDeps } from '../../src/simulator/verify/ports.js';
import type { Delivery } from '../../src/simulator/wire.js';

/** A project made up in memory, whole and right, of apps with every feature: what verification reads, to be spoilt by tests. */
export const APP = '1400000001';
export const CHANNEL_APP = '9qb1abcd';
export const BEGIN = Date.UTC(2026, 5, 10, 18, 0, 30);
export const NOW = BEGIN + 3_600_000;
export const SESSIONS = { ringTimeout: 120_000, settle: 30_000, maxCall: 43_200_000, channelGap: 300_000 };
export const POLLING = { sweepEvery: 5_000, userEvents: 'all' as const };

export const CALLBACKS_ALONE: readonly PlayedApp[] = [
  { app_id: APP, recordings: false, records: false, media: false, log: false, channels: false },
];
export const PLAYED: readonly PlayedApp[] = [
  { app_id: APP, recordings: true, records: true, media: true, log: false, channels: false },
  { app_id: CHANNEL_APP, recordings: false, records: false, media: false, log: true, channels: true },
];

export type Row = Record<string, unknown>;

export interface World {
  ledger: Ledger;
  book: VendorBook;
  raw: Record<SourceName, RawTopicRecord[]>;
  published: { provider: string; app_id: string; call_id: string; revision: number }[];
  tasks: TaskRecord[];
  calls: Row[];
  legs: Row[];
  events: Row[];
  dead: Row[];
  recordings: Row[];
  callRecordings: Row[];
  missed: Row[];
  metrics: Record<'metrics_1m' | 'metrics_1h' | 'metrics_1d', Row[]>;
  concurrency: Row[];
  health: Row[];
  recordsOnly: Row[];
}

const CALLBACKS: PlanOptions = { seed: '5', run: 'r', apps: [APP], chaos: 'hard' };
const EVERYTHING: PlanOptions = {
  ...CALLBACKS,
  seed: '4',
  features: {
    begin_at: BEGIN,
    recorded: new Set([APP]),
    lostSince: 0,
    tiwKeys: new Map([[APP, 'key']]),
    channelApps: [{ app_id: CHANNEL_APP, subscribeIds: ['s'] }],
    channelGap: SESSIONS.channelGap,
  },
};

/** Calls and channels: enough for one of each kind. */
const PIECES = 90;
export const CALLS_ALONE = 60;

/** What the vendors did: the same each time. */
function traffic(plan: PlanOptions, pieces: number, users?: ShownUsers) {
  const ledger = new Ledger();
  const raw = Object.fromEntries(SOURCE_NAMES.map((source) => [source, []])) as unknown as World['raw'];
  const truth = new TruthDeliveries();
  const served = new Set<string>();
  const [archive, rooms, log] = [new CallArchive(1e9), new Rooms(1e9), new PushLog(1e9)];
  const calls: CallFacts[] = [];
  let arrivals = 0;
  const arrive = (source: SourceName, app_id: string, query: string, body: Buffer) => {
    const offset = raw[source].length;
    const record = { partition: 0, offset, id: `${source}-${offset}`, app_id, query, body, received_at: BEGIN + arrivals++ };
    raw[source].push(record);
    const came = { ...record, source };
    truth.add({ ...came, ...users?.show(came) }, true);
  };
  const poll = (source: SourceName, app_id: string, query: string, text: string) => {
    served.add(JSON.stringify([source, app_id, text]));
    arrive(source, app_id, query, Buffer.from(text));
  };
  const send = (d: Delivery) => {
    if (d.push !== undefined) {
      const { push, body, app_id } = d;
      log.add({ ...push, app_id, text: body.toString(), at: BEGIN + 1_000, cost_ms: 1, url: '', code: push.code ?? 200 }, BEGIN + 1_000);
    }
    if (d.lost) return;
    const entry = ledger.attempted(d);
    if (d.expect === 403) return;
    entry.acknowledged++;
    arrive(d.source, d.app_id, d.query, d.body);
  };
  const timelines = timelinesOf(plan, { kind: 'compressed', begin_at: BEGIN, calls: pieces, live: 0 }, (call) => {
    if (call.facts !== undefined) calls.push(call.facts);
  });
  for (const timeline of timelines) for (let d = timeline.next(); d !== null; d = timeline.next()) send(d);
  const polled = plan.features === undefined ? [] : calls;
  for (const facts of polled) {
    archive.add(facts, BEGIN);
    rooms.add(facts);
  }
  for (const { app_id, call_id, start_at, end_at, room_id, presences } of polled) {
    // At first, some have an end that is put right later.
    for (const now of [BEGIN + 1_000, NOW]) poll('call-record', app_id, '', archive.record(app_id, call_id, 'v1', now) ?? '');
    const room = rooms.found(app_id, start_at / 1_000 - 1, end_at / 1_000 + 1, room_id, NOW).find((r) => r.calls.includes(call_id));
    for (const user of new Set(presences.map((p) => p.user))) {
      const data = rooms.data(app_id, room?.comm_id ?? '', user, start_at / 1_000 - 300, end_at / 1_000 + 300, NOW);
      const query = new URLSearchParams({ call_id, user_id: user, comm_id: room?.comm_id ?? '', room_id });
      if (data.length > 0) poll('user-event', app_id, query.toString(), JSON.stringify(data));
    }
  }
  const { texts } = log.page(CHANNEL_APP, { subscribeId: null, from: 0, to: NOW }, { number: 1, size: Number.MAX_SAFE_INTEGER }, NOW);
  for (const text of texts) poll('aliyun-rtc', CHANNEL_APP, '', text);
  const book: VendorBook = {
    owedRecords: (now) => archive.owed(now),
    owedEvents: (now) => log.owed(now),
    served: (source, app_id, text) => served.has(JSON.stringify([source, app_id, text])),
    mediaUsers: (app_id, call_id) => rooms.usersOf(app_id, call_id),
    answers: () => ({}),
  };
  return { ledger, raw, truth, book };
}

interface Known extends Measured, Paired {
  legs: TruthCall['legs'];
}

export function world(): World {
  whole ??= worldOf(traffic(EVERYTHING, PIECES), NOW);
  const { ledger, book, ...tables } = whole;
  return { ledger, book, ...structuredClone(tables) };
}

let whole: World | null = null;

/** Of an installation where users go by other ids than those that came. */
export function worldOfUsers(users: ShownUsers): World {
  const w = worldOf(traffic(EVERYTHING, PIECES, users), NOW);
  // Tasks say the ids that came.
  return { ...w, tasks: w.tasks.map((task) => ({ ...task, users: w.book.mediaUsers(task.app_id, task.call_id) })) };
}

/** Of an app that has callbacks and nothing else, at a moment: its lost ends are put right by nobody. */
export const worldOfCallbacks = (now: number): World => worldOf(traffic(CALLBACKS, CALLS_ALONE), now);

function worldOf({ ledger, raw, truth, book }: ReturnType<typeof traffic>, now: number): World {
  const eventIds = new Map([...truth.events.keys()].map((identity, i) => [identity, `e${i}`]));
  const history = (arrivals: number[]) => ({ first_seen_at: Math.min(...arrivals), updated_at: NOW - 1_000, revision: 3 });
  const calls = [...truth.calls.values()].map((c) => {
    const { times_out_at, ...facts } = truthOf(c.inputs, SESSIONS, now);
    const final = facts.status === 'ended' && (times_out_at === null || times_out_at + SESSIONS.settle <= now);
    return { provider: 'tencent', app_id: c.app_id, ...facts, final, ...history(c.inputs.map((i) => i.received_at)) };
  });
  const sessions = [...truth.channels.values()].flatMap(({ app_id, channel_id, inputs }) =>
    sessionsOf(inputs, SESSIONS, now).map(({ identities, over_at, ...facts }: TruthSession) => ({
      provider: 'aliyun',
      app_id,
      call_id: `channel:${channel_id}:${eventIds.get(channelEventKey(app_id, channel_id, identities[0]!))}`,
      ...facts,
      final: facts.status === 'ended' && over_at + SESSIONS.settle <= now,
      ...history(inputs.map((i) => i.received_at)),
    })),
  );
  const merged = sessions.slice(0, 1).map((session) => ({ ...session, call_id: `channel:${session.room_id}:gone`, ...MERGED }));
  const known: Known[] = [...calls, ...sessions];
  const recordings = [...truth.recordings.values()].map(({ app_id, inputs }) => ({
    provider: 'tencent',
    app_id,
    ...truthOfRecording(inputs),
    revision: 2,
  }));
  const rows = [...known, ...merged].map(({ legs: _legs, ...row }) => row as Row);
  return {
    ledger,
    book,
    raw,
    published: rows.flatMap((c) =>
      [1, 2, 3].map((revision) => ({ provider: String(c.provider), app_id: String(c.app_id), call_id: String(c.call_id), revision })),
    ),
    tasks: calls.map(({ app_id, call_id, started_at, ended_at, legs }) => ({
      kind: 'media',
      app_id,
      call_id,
      started_at,
      ended_at,
      users: legs.map((leg) => leg.user_id),
    })),
    calls: rows,
    legs: known.flatMap((c) =>
      c.legs.map((leg) => ({ app_id: c.app_id, call_id: c.call_id, ...leg, call_started_at: c.started_at, revision: 3 })),
    ),
    events: [...truth.events].map(([identity, e]) => ({
      ...e,
      event_at: e.event_at ?? e.received_at,
      event_id: eventIds.get(identity),
    })),
    dead: truth.deadLetters.map(({ why, source, app_id, received_at, sha1 }) => ({
      stage: 'parse',
      reason: why,
      error: 'because',
      source,
      app_id,
      received_at,
      sha1,
    })),
    recordings: recordings.map((r) => ({ ...r, videos: JSON.stringify(r.videos), omitted: JSON.stringify(r.omitted) })),
    callRecordings: recordings.flatMap((r) =>
      known
        .filter((call) => call.app_id === r.app_id && isRecordingOf(r, call, now))
        .map((call) => ({
          ...r,
          call_id: call.call_id,
          videos: JSON.stringify(r.videos),
          call_started_at: call.started_at,
          call_ended_at: call.ended_at,
        })),
    ),
    missed: [...missedUnreturned(known).values()].map((p) => ({ ...p })),
    metrics: {
      metrics_1m: [...rollup(known, 60_000).values()].map((c) => ({ ...c })),
      metrics_1h: [...rollup(known, 3_600_000).values()].map((c) => ({ ...c })),
      metrics_1d: [...rollup(known, 86_400_000).values()].map((c) => ({ ...c })),
    },
    concurrency: [...concurrency(known, now + 3_600_000).values()].map((m) => ({ ...m })),
    health: [...truth.minutes].map(([key, { received, duplicates }]) => {
      const [bucket, app_id, source] = JSON.parse(key) as [string, string, string];
      return { bucket: Date.parse(bucket), app_id, source, received, duplicates };
    }),
    recordsOnly: recordsOnlyMinutes(truth, calls),
  };
}

const MERGED = {
  end_reason: 'merged',
  callees: [],
  total_users: 0,
  status: 'ended',
  outcome: 'unknown',
  accepted_at: null,
  ring_ms: 0,
  talk_ms: 0,
  final: true,
  legs: [],
};

function recordsOnlyMinutes(truth: TruthDeliveries, calls: readonly { app_id: string; call_id: string; started_at: number }[]): Row[] {
  const minutes = new Map<number, number>();
  for (const call of calls) {
    const kinds = truth.allCalls.get(JSON.stringify([call.app_id, call.call_id]))!;
    if (kinds.has('event') || kinds.has('status') || !kinds.has('record')) continue;
    const bucket = Math.floor(call.started_at / 60_000) * 60_000;
    minutes.set(bucket, (minutes.get(bucket) ?? 0) + 1);
  }
  return [...minutes].map(([bucket, calls_from_records_only]) => ({ bucket, app_id: APP, calls_from_records_only }));
}

/** What `delivery_minutes` makes of the tables. */
function deliveryMinutes({ health, events, dead }: World): Row[] {
  const within = (rows: Row[], minute: Row) =>
    rows.filter(
      (r) =>
        r.app_id === minute.app_id && r.source === minute.source && Math.floor(Number(r.received_at) / 60_000) * 60_000 === minute.bucket,
    ).length;
  return health.map((minute) => ({ ...minute, folded: within(events, minute), dead: within(dead, minute) }));
}

/** Answers the verifier's queries from the tables. */
export function query(w: World): VerifyDeps['query'] {
  return async <T>(sql: string, params: Record<string, unknown> = {}) => {
    const relation = /FROM (\w+)/.exec(sql)![1]!;
    const since = Number(params.since ?? 0);
    if (/calls_from_records_only > 0/.test(sql)) return w.recordsOnly as T[];
    const table = {
      calls: w.calls,
      call_legs: w.legs,
      call_events: w.events,
      dead_letters: w.dead,
      recordings: w.recordings,
      call_recordings: w.callRecordings,
      missed_unreturned: w.missed,
      concurrency_1m: w.concurrency,
      delivery_minutes: deliveryMinutes(w),
      ...w.metrics,
    }[relation]!;
    const unmerged = table.filter((r) => Number(r.first_seen_at) >= since && r.end_reason !== 'merged');
    if (/^SELECT countIf/.test(sql)) {
      const sessions = unmerged.filter((r) => r.call_type === 'channel').length;
      return [{ calls: unmerged.length - sessions, sessions }] as T[];
    }
    if (/NOT t.final/.test(sql)) return unmerged.filter((r) => r.final === false) as T[];
    const page = /% 16 = (\d+)/.exec(sql);
    return (page === null || page[1] === '0' ? table : []) as T[];
  };
}

/** As a topic is read on. */
export const newSince = (records: readonly RawTopicRecord[], from: ReadonlyMap<number, number>): RawTopicRecord[] =>
  records.filter(({ partition, offset }) => offset >= (from.get(partition) ?? 0));

/** What a verifier may look at. */
export const depsOf = (w: World): VerifyDeps => ({
  query: query(w),
  lag: async () => ({ sessions: 0, events: 0, sink: 0 }),
  readRaw: async (source, sink, from) => newSince(w.raw[source], from).forEach(sink),
  readCalls: async (sink) => w.published.forEach(sink),
  readTasks: async (sink) => w.tasks.forEach(sink),
  sessions: SESSIONS,
  polling: POLLING,
  deadlineMs: 5_000,
});
