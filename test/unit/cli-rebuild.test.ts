import { describe, expect, it } from 'vitest';
import { ForgottenRecords } from '../../src/cli/rebuild/forgotten-records.js';
import { reachOf } from '../../src/cli/rebuild/reach.js';
import { type RebuildDeps, rebuild } from '../../src/cli/rebuild/rebuild.js';
import { retainedAt } from '../../src/cli/rebuild/retained.js';
import { CALL_FIELDS, type ClickHouse, ClickHouseFailure } from '../../src/clickhouse/index.js';
import { packCall } from '../../src/codec/call-record.js';
import { packSession } from '../../src/codec/channel-record.js';
import { localCodec } from '../../src/codec/codec.js';
import type { Alert, Call, CallEvent, DeadLetter, Recording } from '../../src/codec/generated.js';
import { packRecording } from '../../src/codec/recording-record.js';
import { TOPICS } from '../../src/codec/topics.js';
import { deriveCall } from '../../src/domain/call.js';
import { mergedFacts } from '../../src/domain/channel-facts.js';
import { deriveRecording, emptyRecording, withInput } from '../../src/domain/recording.js';
import { Pseudonyms } from '../../src/sources/pseudonym.js';
import { DeadLetterLimit } from '../../src/stream/dead-letter-limit.js';
import type { InputRecord } from '../../src/stream/types.js';
import { createMetrics } from '../../src/telemetry/metrics.js';
import { notPublished } from '../../src/workers/sessions/slot.js';
import { Intake } from '../../src/workers/sink/intake.js';
import { Users } from '../../src/workers/users.js';
import { ev, KEY, stateOf } from '../support/calls.js';
import { blankCall } from '../support/clickhouse-model.js';
import { blankInput, KEY as TASK } from '../support/recordings.js';
import { codecs } from '../support/worker-kit.js';

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 5, 1);
const APP = KEY.app_id;
const pseudonyms = new Pseudonyms('a dummy key for tests');
const ALICE = pseudonyms.of(APP, 'alice');

describe('since when the calls topic has every call', () => {
  it('is since its first record, less the time from a first sight to a publication, as long as no log has lost its beginning', () => {
    const whole = [
      { low: 0, first: NOW },
      { low: 0, first: NOW - DAY },
      { low: 0, first: null },
    ];
    expect(reachOf(whole)).toBe(NOW - DAY - 3_600_000);
  });

  it('is since the youngest beginning of a log that has lost its own', () => {
    const cut = [
      { low: 0, first: NOW - 9 * DAY },
      { low: 7, first: NOW - 3 * DAY },
      { low: 7, first: NOW - 5 * DAY },
      { low: 0, first: null },
    ];
    expect(reachOf(cut)).toBe(NOW - 3 * DAY);
  });

  it('is unknown where a log has lost all that it had, and of an empty topic', () => {
    const lost = [
      { low: 0, first: NOW - 9 * DAY },
      { low: 7, first: null },
    ];
    expect(reachOf(lost)).toBeNull();
    expect(reachOf([{ low: 3, first: null }])).toBeNull();
    expect(reachOf([{ low: 0, first: null }])).toBeNull();
  });
});

it('what the tables would have dropped is not stored again, however long the topics keep it', () => {
  const retained = retainedAt(NOW, { calls: 3 * DAY, events: 2 * DAY, metrics: 4 * DAY });
  const at = (days: number) => [
    retained.call({ first_seen_at: NOW - days * DAY } as Call),
    retained.recording({ first_seen_at: NOW - days * DAY } as Recording),
    retained.callEvent({ received_at: NOW - days * DAY } as CallEvent),
    retained.deadLetter({ received_at: NOW - days * DAY } as DeadLetter),
    retained.alert({ fired_at: NOW - days * DAY } as Alert),
  ];
  expect(at(1.9)).toEqual([true, true, true, true, true]);
  expect(at(2)).toEqual([true, true, false, false, true]);
  expect(at(3)).toEqual([false, false, false, false, true]);
  expect(at(4)).toEqual([false, false, false, false, false]);
});

const record = (topic: string, key: string, value: Buffer, offset = 0): InputRecord => ({
  ...{ topic, partition: 0, offset, timestamp: NOW, key: Buffer.from(key), value },
});
const callOf = (revision: number, ...users: string[]): Call => {
  const state = stateOf(
    ...users.map((user, i) => ev(i, user, i === 0 ? 'start_call' : 'receive_call', { role: i === 0 ? 'caller' : 'callee' })),
  );
  return packCall(state, deriveCall(state), { ...notPublished(), revision, first_seen_at: NOW, final_outcome: 'failed' });
};
const callRecord = (call: Call): InputRecord =>
  record(TOPICS.calls.name, `tencent:${call.app_id}:${call.call_id}`, codecs.call.encode(call));
const recordingRecord = (user: string): InputRecord => {
  const state = withInput(emptyRecording(TASK), blankInput({ record_user_id: user }));
  const publication = { revision: 1, first_seen_at: NOW, updated_at: NOW, last_change_at: NOW };
  return record(TOPICS.recordings.name, 'tencent:1:t', codecs.recording.encode(packRecording(state, deriveRecording(state), publication)));
};
const sessionRecord = (user: string): InputRecord => {
  const key = { provider: 'aliyun', app_id: APP, channel_id: 'ch' } as const;
  const events = [{ event: 'join', user_id: user, session_id: 's', event_at: NOW, received_at: NOW }] as const;
  const call = packSession({ key, name: 'n', events, publication: notPublished() }, mergedFacts('ch', NOW));
  return record(TOPICS.calls.name, 'aliyun:1:channel:ch:n', codecs.call.encode(call));
};
const eventRecord = (user_id: string, detail = '{}', app_id: string = APP): InputRecord =>
  record(
    TOPICS.callEvents.name,
    'k',
    codecs.callEvent.encode({
      ...{
        provider: 'tencent',
        app_id,
        call_id: 'c',
        room_id: '',
        user_id,
        role: '',
        event: 'start_call',
        event_at: NOW,
        received_at: NOW,
      },
      ...{ source: 'tuicallkit', platform: '', call_result: '', event_id: 'e', raw_topic: TOPICS.rawTuicallkit.name, raw_partition: 0 },
      ...{ raw_offset: 1, raw_index: 0, detail, polled: false, undelivered: false },
    }),
  );
const letterRecord = (over: Partial<DeadLetter>): InputRecord =>
  record(
    TOPICS.deadLetters.name,
    'k',
    codecs.deadLetter.encode({
      ...{ stage: 'parse', reason: 'unknown_event', error: '', source: 'tuicallkit', app_id: APP, received_at: NOW },
      ...{
        origin_topic: TOPICS.rawTuicallkit.name,
        origin_partition: 0,
        origin_offset: 1,
        origin_index: 0,
        key: '',
        body: Buffer.from('{}'),
      },
      ...over,
    }),
  );

/** With alice forgotten at {@link NOW}, or nobody. */
function forgottenRecords(nobody = false): ForgottenRecords {
  const has = (app: string, pseudonym: string): boolean => !nobody && app === APP && pseudonym === ALICE;
  const users = new Users({
    pseudonyms,
    all: false,
    seals: () => false,
    forgotten: { has, size: nobody ? 0 : 1, ready: async () => {} },
  });
  return new ForgottenRecords(codecs, users, { lastListed: (app) => (app === null || app === APP ? NOW : Number.NEGATIVE_INFINITY) });
}

describe('who was forgotten', () => {
  it('does not come back with an earlier revision: the last one has the pseudonym', async () => {
    const forgotten = forgottenRecords();
    const [first, second] = [callRecord(callOf(1, 'alice', 'bob')), callRecord(callOf(2, ALICE, 'bob'))];
    expect(await forgotten.without([first, second])).toEqual([second]);
    expect(forgotten.takeLast()).toEqual([]);
    // Also where they are read apart, and where a piece is read again.
    expect(await forgotten.without([first])).toEqual([]);
    expect(await forgotten.without([first])).toEqual([]);
    expect(await forgotten.without([second])).toEqual([second]);
    expect(forgotten.takeLast()).toEqual([]);
  });

  it('is not named by a last revision that forget-user did not come to: it is stored under the pseudonym, otherwise as published', async () => {
    const forgotten = forgottenRecords();
    expect(
      await forgotten.without([callRecord(callOf(1, 'alice', 'bob')), callRecord(callOf(2, 'alice', 'bob')), recordingRecord('alice')]),
    ).toEqual([]);
    const [call, recording] = forgotten.takeLast();
    expect(codecs.call.decode(call!.value!)).toEqual({ ...callOf(2, ALICE, 'bob'), caller: ALICE });
    expect(codecs.call.decode(call!.value!)).toMatchObject({ revision: 2, final_outcome: 'failed', callees: ['bob'] });
    expect(codecs.recording.decode(recording!.value!)).toMatchObject({
      record_user_id: ALICE,
      revision: 1,
      inputs: [{ record_user_id: ALICE }],
    });
    expect(forgotten.takeLast()).toEqual([]);
  });

  it('does not come back with a session of a channel, an event, or a dead letter', async () => {
    const forgotten = forgottenRecords();
    const naming = [
      sessionRecord('alice'),
      eventRecord('alice'),
      eventRecord('bob', '{"callees":["alice"]}'),
      letterRecord({ body: Buffer.from('{"UserId":"alice","Event":') }),
      letterRecord({ error: '{"UserId":"alice"}' }),
      // Nobody can tell whom these name.
      letterRecord({ stage: 'decode', received_at: NOW - 1 }),
      letterRecord({ stage: 'row', received_at: NOW - 1 }),
      letterRecord({ app_id: '', received_at: NOW - 1 }),
    ];
    expect(await forgotten.without(naming)).toEqual([]);
    expect(forgotten.takeLast()).toEqual([]);
    const others = [
      sessionRecord('bob'),
      eventRecord('bob', '{"text":"alice"}'),
      eventRecord('alice', '{}', 'another app'),
      letterRecord({ body: Buffer.from('{"UserId":"bob"}') }),
      letterRecord({ stage: 'decode', received_at: NOW }),
      letterRecord({ stage: 'decode', received_at: NOW - 1, app_id: 'another app' }),
      record(TOPICS.calls.name, 'k', Buffer.from('no frame')),
      { ...record(TOPICS.calls.name, 'k', Buffer.alloc(0)), value: null },
    ];
    expect(await forgotten.without(others)).toEqual(others);
  });

  it('is nobody: everything is stored as it was published', async () => {
    const all = [callRecord(callOf(1, 'alice', 'bob')), eventRecord('alice'), letterRecord({ stage: 'decode', received_at: 1 })];
    expect(await forgottenRecords(true).without(all)).toEqual(all);
  });
});

/** A rebuild of two calls, with a ClickHouse that only says what it was sent. */
function stage(over: Partial<RebuildDeps> = {}, failures: ClickHouseFailure[] = []) {
  const happened: string[] = [];
  const say = (what: string): void => {
    happened.push(what);
  };
  const clickhouse = {
    command: async (sql: string) => say(/INSERT INTO (\w+)(?:[\s\S]*(done = 0))?/.exec(sql)?.slice(1).join(' ').trim() ?? sql),
    query: async (sql: string) =>
      sql.includes('rebuild_id') ? [{ rebuild_id: 'lost' }, { rebuild_id: 'own' }] : [{ touched: 3, kept: 0 }],
    insert: async (table: string) => {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      say(table);
    },
  } as unknown as ClickHouse;
  const calls = [1, 2].map((n) => callRecord(blankCall({ app_id: APP, call_id: `c${n}`, first_seen_at: NOW, started_at: NOW })));
  const waits: string[] = [];
  const deps: RebuildDeps = {
    clickhouse,
    topics: [TOPICS.calls.name],
    ranges: async () => [{ low: 0, end: 2 }],
    read: async (_topic, _ranges, take) => {
      for (const each of calls) await take([each], 1);
    },
    forgotten: {
      without: async (records) => {
        say('who is forgotten?');
        return [...records];
      },
      takeLast: () => [],
    },
    intake: new Intake(
      { ...codecs, call: codecs.call.only(...CALL_FIELDS), alert: localCodec(TOPICS.alerts) },
      new DeadLetterLimit(),
      createMetrics(),
    ),
    roller: {
      pass: async (onDirty = () => {}) => {
        say('rolled');
        onDirty(3);
        onDirty(0);
        return 3;
      },
    },
    metrics: createMetrics(),
    id: 'own',
    now: NOW,
    onProgress: () => {},
    onWait: (why) => waits.push(why),
    signal: new AbortController().signal,
    ...over,
  };
  return { deps, happened, waits };
}

describe('a rebuild', () => {
  const ROWS = ['who is forgotten?', 'calls_latest', 'call_revisions'];

  it('is wanted before the first row, touches minutes after the last, rolls them, and only then is done', async () => {
    const { deps, happened } = stage();
    expect(await rebuild(deps)).toEqual({
      topics: [{ topic: TOPICS.calls.name, stored: 2, unreadable: 0, since: NOW }],
      rollups: { touched: 6, kept: 0 },
    });
    expect(happened).toEqual(['rebuilds', ...ROWS, ...ROWS, 'touched', 'touched', 'rolled', 'rebuilds done = 0']);
  });

  it('asks anew who is forgotten before rows are sent once more', async () => {
    const { deps, happened, waits } = stage({}, [new ClickHouseFailure('retriable', null, 'insert', new Error('away'))]);
    await rebuild(deps);
    expect(waits).toEqual(['ClickHouse: insert: away']);
    expect(happened.filter((what) => what === 'who is forgotten?')).toHaveLength(3);
  });

  it.each([
    ['what ClickHouse refuses', {}, [new ClickHouseFailure('permanent', 60, 'insert', new Error('no table'))]],
    ['Ctrl-C', { signal: AbortSignal.abort() }, []],
  ])('is not done after %s', async (_name, over, failures) => {
    const { deps, happened } = stage(over, failures);
    await expect(rebuild(deps)).rejects.toThrow();
    expect(happened).toContain('rebuilds');
    expect(happened).not.toContain('rebuilds done = 0');
    expect(happened).not.toContain('touched');
  });
});
