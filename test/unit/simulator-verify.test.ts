import { describe, expect, it } from 'vitest';
import { formatReport } from '../../src/simulator/index.js';
import { requestId } from '../../src/simulator/ledger.js';
import { truthOf } from '../../src/simulator/truth/call.js';
import { TruthDeliveries } from '../../src/simulator/truth/deliveries.js';
import type { SourceName } from '../../src/simulator/truth/read-source.js';
import { CounterWatch } from '../../src/simulator/verify/counters.js';
import type { RawTopicRecord, VerifyDeps, VerifyReport } from '../../src/simulator/verify/ports.js';
import { verify } from '../../src/simulator/verify/verify.js';
import { Pseudonyms } from '../../src/sources/pseudonym.js';
import { Users } from '../../src/workers/users.js';
import {
  BEGIN,
  CALLBACKS_ALONE,
  CHANNEL_APP,
  depsOf,
  NOW,
  newSince,
  PLAYED,
  POLLING,
  query,
  type Row,
  SESSIONS,
  type World,
  world,
  worldOfCallbacks,
  worldOfUsers,
} from '../support/verified-world.js';

/**
 * Verification against a project made up in memory: whole and right at first, then spoilt in one place at a time. What a test spoils must be found, and
 * nothing else.
 */
async function check(spoil: (w: World) => void, more: Partial<VerifyDeps> = {}, w = world()): Promise<VerifyReport> {
  spoil(w);
  // The clock runs fast, so that waits for what will never come end soon; waiting takes no time of ours.
  let now = NOW;
  const after = (ms: number) => (now += ms);
  const clock = { now: () => after(10_000) };
  const { ledger, book } = w;
  return verify({ ledger, book, begin_at: BEGIN, apps: PLAYED, clock, sleep: async (ms) => after(ms) }, { ...depsOf(w), ...more });
}

/** Verifies at the deadline of a call without an end, which may strike at any moment of it; `tables` may be of another time than the clock's. */
async function checkAt(begin: number, tables: (now: number) => World, deadlineMs: number): Promise<VerifyReport> {
  let now = begin;
  const w = tables(begin);
  const after = (ms: number) => (now += ms);
  const clock = { now: () => after(2_000) };
  return verify(
    { ledger: w.ledger, begin_at: BEGIN, apps: CALLBACKS_ALONE, clock, sleep: async (ms) => after(ms) },
    { ...depsOf(w), query: (sql, params) => query(tables(after(1_000)))(sql, params), deadlineMs },
  );
}

const kinds = (report: VerifyReport) => Object.keys(report.differences).sort();

/** Another name for a call or a session, everywhere. */
function rename(w: World, row: Row, call_id: string): void {
  for (const one of [...w.legs, ...w.published]) if (one.call_id === row.call_id) one.call_id = call_id;
  row.call_id = call_id;
}

describe('verification', () => {
  it('finds nothing wrong with what is right, and compares all there is', async () => {
    const report = await check(() => {});
    expect(report.first).toEqual([]);
    expect(report.total).toBe(0);
    for (const count of Object.values(report.compared)) expect(count).toBeGreaterThan(0);
    expect(report.compared.received).toBe(report.compared.folded + report.compared.duplicates + report.compared.dead);
  });

  it('knows users by their pseudonyms where the configuration says so, and finds polls that are missing', async () => {
    const users = new Users({ pseudonyms: new Pseudonyms('a dummy key for tests'), all: true, seals: () => false });
    const report = await check(() => {}, { users }, worldOfUsers(users));
    expect(report.first).toEqual([]);
    for (const count of Object.values(report.compared)) expect(count).toBeGreaterThan(0);
    const unasked = await check((w) => (w.raw['user-event'] = []), { users }, worldOfUsers(users));
    expect(kinds(unasked)).toContain('waited in vain');
  });

  it.each<[string, (w: World) => void, string[]]>([
    ['a wrong measure', (w) => Object.assign(w.calls[0]!, { talk_ms: 7 }), ['call']],
    [
      'a call that is not final',
      (w) => Object.assign(w.calls.find((c) => c.status === 'ended')!, { final: false }),
      ['call', 'waited in vain'],
    ],
    ['a first_seen_at out of thin air', (w) => Object.assign(w.calls[0]!, { first_seen_at: BEGIN + 3_000_000 }), ['call']],
    ['a missing call', (w) => w.calls.shift(), ['missing call', 'waited in vain']],
    ['a call twice', (w) => w.calls.push({ ...w.calls[0]! }), ['double call']],
    [
      'a call that nobody made',
      (w) => w.calls.push({ ...w.calls[0]!, call_id: 'ghost', status: 'ringing', accepted_at: null }),
      ['invented call'],
    ],
    ['a wrong leg', (w) => Object.assign(w.legs[0]!, { joined_at: 7 }), ['leg']],
    ['a missing leg', (w) => w.legs.pop(), ['missing leg']],
    ['a leg that nobody had', (w) => w.legs.push({ ...w.legs[0]!, user_id: 'ghost' }), ['invented leg']],
    ['a wrong event', (w) => Object.assign(w.events[0]!, { user_id: 'ghost' }), ['event']],
    ['a missing event', (w) => w.events.shift(), ['delivery minute', 'missing event', 'sum of deliveries']],
    ['an event twice', (w) => w.events.push({ ...w.events[0]! }), ['delivery minute', 'invented event', 'sum of deliveries']],
    ['a missing dead letter', (w) => w.dead.pop(), ['delivery minute', 'missing dead letter', 'sum of deliveries']],
    [
      'a dead letter of a good body',
      (w) => w.dead.push({ ...w.dead[0]!, stage: 'fold', sha1: 'x' }),
      ['delivery minute', 'invented dead letter', 'sum of deliveries'],
    ],
    ['a wrong count in a minute', (w) => Object.assign(w.metrics.metrics_1m[0]!, { missed: 99 }), ['metrics_1m cell']],
    [
      'a percentile 2% off',
      (w) => Object.assign(w.metrics.metrics_1d[0]!, { ring_p95_ms: Number(w.metrics.metrics_1d[0]!.ring_p95_ms) * 1.02 }),
      ['metrics_1d cell'],
    ],
    [
      'a rate that is 0 and should be null',
      (w) => Object.assign(w.metrics.metrics_1h[0]!, { acd_ms: w.metrics.metrics_1h[0]!.acd_ms === null ? 0 : null }),
      ['metrics_1h cell'],
    ],
    ['a missing cell', (w) => w.metrics.metrics_1h.pop(), ['missing metrics_1h cell']],
    [
      'a cell too many',
      (w) => w.metrics.metrics_1h.push({ ...w.metrics.metrics_1h[0]!, media_type: '', call_type: 'group', bucket: 0 }),
      ['invented metrics_1h cell'],
    ],
    ['a wrong peak', (w) => Object.assign(w.concurrency[0]!, { peak: 99 }), ['concurrency minute']],
    ['a missing minute', (w) => w.concurrency.splice(3, 1), ['missing concurrency minute']],
    ['a wrong number of duplicates', (w) => Object.assign(w.health[0]!, { duplicates: 1 }), ['delivery minute', 'sum of deliveries']],
    ['a revision twice', (w) => w.published.push(w.published[0]!), ['double revision']],
    ['a gap in the revisions', (w) => w.published.splice(1, 1), ['revision gap']],
    ['a row behind the topic', (w) => w.published.push({ ...w.published[2]!, revision: 4 }), ['stale row']],
    ['a row ahead of the topic', (w) => Object.assign(w.calls[0]!, { revision: 4 }), ['leg', 'unpublished revision']],
    ['a call that was never published', (w) => w.published.splice(0, 3), ['unpublished call']],
  ])('finds %s', async (_what, spoil, expected) => {
    expect(kinds(await check(spoil))).toEqual(expected);
  });

  /** Of the rows of a table, the first that is so. */
  const first = (rows: Row[], is: (row: Row) => boolean): Row => rows.find(is)!;
  const session = (w: World) => first(w.calls, (c) => c.call_type === 'channel' && c.end_reason !== 'merged' && c.accepted_at !== null);
  const merged = (w: World) => first(w.calls, (c) => c.end_reason === 'merged');
  const isMedia = (e: Row) => e.event === 'media';

  it.each<[string, (w: World) => void, string[]]>([
    [
      'a record that lost to a status callback',
      (w) =>
        Object.assign(
          first(w.calls, (c) => String(c.sources).includes('record')),
          { sources: ['event', 'status'] },
        ),
      ['call'],
    ],
    [
      'a leg without its media',
      (w) =>
        Object.assign(
          first(w.legs, (l) => l.media_joined_at !== null),
          { media_joined_at: null },
        ),
      ['leg'],
    ],
    [
      'a drop too many',
      (w) =>
        Object.assign(
          first(w.legs, (l) => l.media_joined_at !== null),
          { media_drops: 9 },
        ),
      ['leg'],
    ],
    ['a media poll of another user', (w) => Object.assign(first(w.events, isMedia), { user_id: 'ghost' }), ['event']],
    [
      'a record of another arrival',
      (w) =>
        Object.assign(
          first(w.events, (e) => e.source === 'call-record'),
          { raw_offset: 77_777 },
        ),
      ['invented event', 'missing event'],
    ],
    ['a wrong total of a recording', (w) => Object.assign(w.recordings[0]!, { total_ms: 7 }), ['recording']],
    [
      'a video that is missing',
      (w) =>
        Object.assign(
          first(w.recordings, (r) => r.videos !== '[]'),
          { videos: '[]' },
        ),
      ['recording'],
    ],
    ['a recording that is missing', (w) => w.recordings.pop(), ['missing recording']],
    ['a recording twice', (w) => w.recordings.push({ ...w.recordings[0]! }), ['double recording']],
    [
      'a recording that nobody made',
      (w) => w.recordings.push({ ...w.recordings[0]!, task_id: 'ghost', started_at: NOW }),
      ['invented recording'],
    ],
    ['a call without its recording', (w) => w.callRecordings.pop(), ['missing call recording']],
    [
      'a recording of another call',
      (w) => w.callRecordings.push({ ...w.callRecordings[0]!, call_id: 'ghost' }),
      ['invented call recording'],
    ],
    ['a wrong end of a call beside its recording', (w) => Object.assign(w.callRecordings[0]!, { call_ended_at: NOW }), ['call recording']],
    ['a wrong moment of a session', (w) => Object.assign(session(w), { accepted_at: NOW }), ['session']],
    ['a session named after an event of another', (w) => rename(w, session(w), `channel:${session(w).room_id}:e0`), ['session']],
    ['a session twice', (w) => w.calls.push({ ...session(w) }), ['double session']],
    ['a merged session that still measures', (w) => Object.assign(merged(w), { talk_ms: 7 }), ['merged session']],
    ['a merged session of another channel', (w) => rename(w, merged(w), 'channel:other:gone'), ['merged session']],
    [
      'a merged session with a leg',
      (w) => w.legs.push({ ...w.legs[0]!, app_id: CHANNEL_APP, call_id: merged(w).call_id }),
      ['invented leg'],
    ],
    [
      'a wrong leg of a session',
      (w) =>
        Object.assign(
          first(w.legs, (l) => l.app_id === CHANNEL_APP),
          { left_at: 7 },
        ),
      ['leg'],
    ],
    [
      'a gap in the revisions of a merged name',
      (w) =>
        w.published.splice(
          w.published.findIndex((p) => p.call_id === merged(w).call_id),
          1,
        ),
      ['revision gap'],
    ],
    [
      'a name of a channel without a row',
      (w) => w.published.push({ provider: 'aliyun', app_id: CHANNEL_APP, call_id: `channel:${merged(w).room_id}:x`, revision: 1 }),
      ['stale row'],
    ],
    ['a wrong count of missed calls', (w) => Object.assign(w.missed[0]!, { missed_count: 9 }), ['missed pair']],
    ['a pair that spoke meanwhile', (w) => w.missed.push({ ...w.missed[0]!, callee: 'ghost' }), ['invented missed pair']],
    ['a pair that is missing', (w) => w.missed.pop(), ['missing missed pair']],
    [
      'calls from records only in the wrong minute',
      (w) => Object.assign(w.recordsOnly[0]!, { bucket: 60_000 }),
      ['calls from records only'],
    ],
    [
      'deliveries of a source that are missing',
      (w) =>
        w.health.splice(
          w.health.findIndex((h) => h.source === 'tiw'),
          1,
        ),
      ['missing delivery minute'],
    ],
  ])('finds %s', async (_what, spoil, expected) => {
    expect(kinds(await check(spoil))).toEqual(expected);
  });

  it('finds a session that has begun at another time, and with it all that counts it', async () => {
    const report = await check((w) => Object.assign(session(w), { started_at: 7 }));
    expect(kinds(report)).toEqual(expect.arrayContaining(['invented session', 'missing session', 'missing leg', 'invented leg']));
  });

  /** An event that was sent once. */
  const once = (w: World): RawTopicRecord =>
    w.raw.tuicallkit.find(({ app_id, query: q, body }) => {
      const sent = w.ledger.entries.get(requestId('tuicallkit', app_id, q, body));
      return sent?.attempts === 1 && Buffer.from(body).includes('"Event":"call_end"');
    })!;

  /** Takes a delivery out of the raw topics, and says whose it was. */
  const take = (w: World, source: SourceName, is: (text: string, query: string) => boolean): RawTopicRecord => {
    const at = w.raw[source].findIndex((r) => is(Buffer.from(r.body).toString(), r.query));
    return w.raw[source].splice(at, 1)[0]!;
  };

  it('finds a lost call whose record no sweep has found', async () => {
    const report = await check((w) => {
      const lost = [...w.book.owedRecords(NOW)].find((r) => r.lost)!;
      w.raw['call-record'] = w.raw['call-record'].filter((r) => !Buffer.from(r.body).includes(JSON.stringify(lost.call_id)));
    });
    expect(kinds(report)).toEqual(expect.arrayContaining(['lost call', 'waited in vain', 'invented event']));
    expect(report.first.join()).toContain('waited in vain: the sweeps: 1 records');
  });

  it('waits for the sweeps and for media events, and tells', async () => {
    const w = world();
    const [poll, one] = [take(w, 'user-event', () => true), take(w, 'call-record', () => true)];
    const same = w.raw['call-record'].filter((r) => Buffer.from(r.body).equals(Buffer.from(one.body)));
    w.raw['call-record'] = w.raw['call-record'].filter((r) => !same.includes(r));
    const late: Partial<Record<SourceName, RawTopicRecord[]>> = { 'user-event': [poll], 'call-record': [one, ...same] };
    const lines: string[] = [];
    let looks = 0;
    const report = await check(
      () => {},
      {
        onLine: (text) => lines.push(text),
        deadlineMs: 3_000_000,
        readRaw: async (source, sink, from) => {
          newSince(w.raw[source], from).forEach(sink);
          looks++;
          if (looks <= (source === 'user-event' ? 60 : 20)) return;
          late[source]?.forEach(sink);
          delete late[source];
        },
      },
      w,
    );
    expect(report.first).toEqual([]);
    expect(lines).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^waiting for the sweeps: 1 records$/),
        expect.stringMatching(/^waiting for media events: 1 polls/),
      ]),
    );
  });

  it('finds an entry of the log of pushes that was never polled', async () => {
    const report = await check((w) => {
      const lost = [...w.book.owedEvents(NOW)].find((e) => e.lost)!;
      w.raw['aliyun-rtc'] = w.raw['aliyun-rtc'].filter((r) => !Buffer.from(r.body).includes(lost.message_id));
    });
    expect(report.first.join()).toContain('waited in vain: the sweeps: 1 channel events');
  });

  it('finds media events that were never polled, and a call that nobody asked about', async () => {
    const without = await check((w) => take(w, 'user-event', () => true));
    expect(without.first.join()).toContain('waited in vain: media events: 1 polls');
    const unasked = await check((w) => {
      const { call_id } = w.tasks.find((t) => w.book.mediaUsers(t.app_id, t.call_id).length > 0)!;
      w.tasks = w.tasks.filter((t) => t.call_id !== call_id);
    });
    expect(kinds(unasked)).toEqual(['waited in vain']);
    expect(unasked.first.join()).toContain('no task');
  });

  it('asks for no poll where not all calls are asked about and none was, nor where the times of the question were others', async () => {
    const unasked = await check((w) => w.tasks.splice(0), { polling: { ...POLLING, userEvents: 'abnormal' } });
    expect(kinds(unasked)).toEqual([]);
    const narrow = (w: World) => {
      const { query: q } = take(w, 'user-event', () => true);
      const task = w.tasks.find((t) => t.call_id === new URLSearchParams(q).get('call_id'))!;
      Object.assign(task, { ended_at: task.started_at! - 600_000 });
    };
    expect((await check(narrow)).first.join()).not.toContain('media events');
  });

  it('finds a poll that the vendor never served', async () => {
    const ghost = (w: World) =>
      w.raw['call-record'].push({ ...w.raw['call-record'][0]!, id: 'g', offset: 9_999, body: Buffer.from('{"callId":"g"}') });
    expect(kinds(await check(ghost))).toContain('invented poll');
  });

  it('compares again when more has come meanwhile', async () => {
    const w = world();
    const lines: string[] = [];
    let lag = true;
    // One delivery comes again while the tables, which know it already, are compared.
    const known = { ...once(w), id: 'again', offset: 1_000_000 };
    const minute = w.health.find((h) => h.source === 'tuicallkit')!;
    Object.assign(minute, { received: Number(minute.received) + 1, duplicates: Number(minute.duplicates) + 1 });
    const sent = w.ledger.entries.get(requestId('tuicallkit', known.app_id, known.query, known.body))!;
    sent.attempts++;
    const report = await check(
      () => {},
      {
        onLine: (text) => {
          lines.push(text);
          if (text.startsWith('comparing rollups')) lag = false;
        },
        readRaw: async (source, sink, from) => {
          newSince(w.raw[source], from).forEach(sink);
          if (source === 'tuicallkit' && !lag) newSince([known], from).forEach(sink);
        },
      },
      w,
    );
    expect(report.first).toEqual([]);
    expect(lines).toContain('more has come meanwhile: comparing again');
    sent.attempts--;
  });

  it('finds an acknowledged request that is not stored, and with it all that hangs on it', async () => {
    const report = await check((w) => w.raw.tuicallkit.splice(5, 1));
    expect(kinds(report)).toEqual(expect.arrayContaining(['lost request', 'waited in vain']));
  });

  it('finds a request that was stored more often than sent, or although refused; a repeat with the same id is none', async () => {
    const more = await check((w) => w.raw.tuicallkit.push({ ...once(w), id: 'other', offset: 9_999_999 }));
    expect(kinds(more)).toContain('invented request');
    const repeat = await check((w) => w.raw.tuicallkit.push({ ...once(w), offset: 9_999_999 }));
    expect(kinds(repeat)).not.toContain('invented request');
  });

  it('waits for idle workers and says what it waits for', async () => {
    const lines: string[] = [];
    let behind = 2;
    const report = await check(() => {}, {
      lag: async () => ({ sink: Math.max(0, behind--) }),
      onLine: (text) => lines.push(text),
      deadlineMs: 120_000,
    });
    expect(report.total).toBe(0);
    expect(lines.slice(0, 2)).toEqual(['waiting for idle workers: sink 2 behind', 'waiting for idle workers: sink 1 behind']);
  });

  it('says in the report what was compared, the first differences, and what was not there to compare', async () => {
    const right = await check(() => {});
    const beside = { lost: 0, recordings: 0, channels: 0, api: {} };
    const base = {
      run: 'r',
      seed: '5',
      chaos: 'hard' as const,
      plots: { answered: 1 },
      groups: 0,
      ...beside,
      elapsed_ms: 1,
      workers: null,
    };
    const sent = { settled: 1, acknowledged: 1, refused: 0, retries: 0, abandoned: 0, unexpected: 0 };
    const lines = formatReport({ ...base, sent, verify: right });
    expect(lines).toContain('0 differences');
    expect(lines.join()).toMatch(/of them [1-9]\d* records, [1-9]\d* media polls, [1-9]\d* recordings, [1-9].*channel sessions/);
    const text = formatReport({
      ...base,
      sent,
      verify: { ...right, compared: { ...right.compared, legs: 0 }, total: 1, differences: { leg: 1 }, first: ['leg: x'] },
    }).join('\n');
    expect(text).toContain('failed: nothing compared of legs;');
    expect(text).toContain('1 differences\n  leg: x');
  });
});

describe('verification while calls time out', () => {
  const lost = worldOfCallbacks(NOW).raw.tuicallkit;
  const truth = new TruthDeliveries();
  for (const record of lost) truth.add({ ...record, source: 'tuicallkit', body: Buffer.from(record.body) }, true);
  const deadlines = [...truth.calls.values()]
    .map((c) => truthOf(c.inputs, SESSIONS, NOW))
    .flatMap((t) => (t.status === 'active' && t.times_out_at !== null ? [t.times_out_at] : []))
    .sort((a, b) => a - b);
  // No other call changes while this one does.
  const deadline = deadlines.findLast((at) => deadlines.every((other) => other === at || Math.abs(other - at) > 280_000));
  if (deadline === undefined) throw new Error('no call of this traffic times out at a moment of its own: choose another seed');
  const before = worldOfCallbacks(deadline - 1);
  const closed = worldOfCallbacks(deadline);
  const final = worldOfCallbacks(deadline + SESSIONS.settle);
  /** As the real thing: it strikes late, and the rollups later still. */
  const project = (now: number): World => {
    const calls = now < deadline + 2_000 ? before : now < deadline + SESSIONS.settle + 4_000 ? closed : final;
    const { metrics, concurrency } = now < deadline + 9_000 ? before : final;
    return { ...calls, metrics, concurrency };
  };

  it('has a call to time out that counts in rollups and concurrency', () => {
    expect(deadlines.length).toBeGreaterThan(0);
    expect(JSON.stringify(before.metrics)).not.toBe(JSON.stringify(final.metrics));
    expect(JSON.stringify(before.concurrency)).not.toBe(JSON.stringify(final.concurrency));
  });

  // From long before to long after: the deadline passes through every part of the comparison.
  const offsets = [-180_000, -160_000, -150_000, -140_000, -130_000, -120_000, -110_000, -100_000, -90_000, -80_000, -50_000, 0, 60_000];
  it.concurrent.each(offsets)('is exact when it begins %d ms beside the deadline', async (offset) => {
    const report = await checkAt(deadline + offset, project, 600_000);
    expect(report.first).toEqual([]);
    expect(report.total).toBe(0);
  });

  it('finds a call that stays open past its deadline', async () => {
    const report = await checkAt(deadline + 200_000, () => before, 5_000);
    expect(kinds(report)).toEqual(expect.arrayContaining(['call', 'leg', 'metrics_1h cell', 'concurrency minute', 'waited in vain']));
  });

  it('finds a call that was closed long before its deadline', async () => {
    const report = await checkAt(deadline - 600_000, () => final, 5_000);
    expect(kinds(report)).toEqual(expect.arrayContaining(['call', 'leg', 'metrics_1h cell', 'concurrency minute']));
  });
});

describe('worker counters', () => {
  const page = (role: string, left: number, records: number) =>
    [
      '# HELP x',
      `callstream_calls_left_total{role="${role}"} ${left}`,
      `callstream_late_inputs_total{role="${role}",result="deferred"} ${left}`,
      `callstream_late_inputs_total{role="${role}",result="new"} 50`,
      `callstream_records_total{role="${role}"} ${records}`,
      '',
    ].join('\n');

  async function watched(samples: readonly Record<string, string>[]) {
    const left = [...samples];
    const watch = new CounterWatch(async () => new Map(Object.entries(left.shift() ?? {})));
    await watch.start();
    watch.stop();
    while (left.length > 0) await watch.sample();
    return watch.totals();
  }

  it('sum what grew since the run began', async () => {
    expect(await watched([{ up: page('a', 10, 1) }, { up: page('a', 15, 2) }])).toEqual({ timed_out: 0, reopened: 0, left: 5, late: 5 });
  });

  it('count from 0 after a restart, also where the new process is ahead of the old one by then', async () => {
    expect(await watched([{ up: page('a', 10, 90) }, { up: page('a', 15, 99) }, { up: page('a', 2, 1) }])).toMatchObject({ left: 7 });
    expect(await watched([{ up: page('a', 10, 90) }, { up: page('a', 11, 99) }, { up: page('a', 20, 50) }])).toMatchObject({ left: 21 });
  });

  it('keep a process that does not answer for a while', async () => {
    expect(await watched([{ up: page('a', 10, 1) }, {}, { up: page('a', 12, 2) }])).toMatchObject({ left: 2 });
  });

  it('keep two workers apart, by role and by where they answer', async () => {
    const first = { up: page('a', 10, 5) + page('b', 3, 5), other: page('a', 100, 5) };
    const second = { up: page('a', 11, 6) + page('b', 1, 1), other: page('a', 104, 6) };
    expect(await watched([first, second])).toMatchObject({ left: 6, late: 6 });
  });

  it('take samples one after the other', async () => {
    const answers: ((text: string) => void)[] = [];
    const watch = new CounterWatch(() => new Promise((resolve) => answers.push((text) => resolve(new Map([['up', text]])))));
    const [slow, quick] = [watch.sample(), watch.sample()];
    await Promise.resolve();
    expect(answers).toHaveLength(1);
    answers[0]!(page('a', 5, 5));
    await slow;
    await Promise.resolve();
    answers[1]!(page('a', 6, 6));
    await quick;
    expect(watch.totals()).toMatchObject({ left: 6 });
  });
});
