import { describe, expect, it } from 'vitest';
import { type Input, truthOf } from '../../src/simulator/truth/call.js';
import { type ChannelInput, sessionsOf } from '../../src/simulator/truth/channel.js';
import { isRecordingOf, missedUnreturned, type Paired } from '../../src/simulator/truth/pairs.js';
import { readDelivery, type SourceName } from '../../src/simulator/truth/read-source.js';
import type { RecordingReading } from '../../src/simulator/truth/reading.js';
import { truthOfRecording } from '../../src/simulator/truth/recording.js';

/** What the truth makes of records, media polls, recordings and channels: semantics.md sentence by sentence. */
const T = Date.UTC(2026, 2, 1, 12) / 1000;
const at = (seconds: number) => (T + seconds) * 1000;
const TIMES = { ringTimeout: 120_000, maxCall: 3_600_000, channelGap: 60_000 };
type Fields = Record<string, unknown>;

const readings = (source: SourceName, body: unknown, query = '') =>
  readDelivery(source, query, Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));
function input(source: SourceName, body: unknown, received: number, query = ''): Input {
  const [reading] = readings(source, body, query);
  if (reading === undefined || !('call_id' in reading)) throw new Error('not about a call');
  return { reading, body: Buffer.from(JSON.stringify(body)), received_at: received };
}

const record = (more: Fields = {}, received = at(600)) =>
  input(
    'call-record',
    { callId: 'c', caller: 'ann', callees: ['bob', 'ann'], callType: 'single', callResult: 'normal_end', startCallTs: T, ...more },
    received,
  );
const status = (CallResult: string, received = at(900)) =>
  input('tuicallkit', { CallId: 'c', UserId: 'ann', Role: 'caller', CallType: 'single', CallResult, EventTime: T + 50 }, received);
const event = (UserId: string, Event: string, seconds: number, more: Fields = {}) =>
  input('tuicallkit', { CallId: 'c', UserId, Event, EventTime: T + seconds, CallType: 'single', ...more }, at(600));
const poll = (user: string, events: [id: number, seconds: number, one?: number][], received = at(700), room = 'r') => {
  const Content = events.map(([EventId, seconds, ParamOne = -1]) => ({ EventId, Time: at(seconds), ParamOne, ParamTwo: -1, Type: 0 }));
  return input('user-event', [{ Content, PeerId: 'x' }], received, `call_id=c&user_id=${user}&room_id=${room}`);
};
const truth = (...inputs: Input[]) => truthOf(inputs, TIMES, at(1_000));
const leg = (user: string, ...inputs: Input[]) => truth(...inputs).legs.find((l) => l.user_id === user)!;

describe('reading a record', () => {
  it('takes the words of either generation', () => {
    const v4 = {
      CallId: 'c',
      Caller_Account: 9007199254740993n.toString(),
      CalleeList_Account: ['bob'],
      MediaType: 'Video',
      CallType: 'MultiCall',
      CallResult: 'NotAnswer',
      StartTime: T,
      AcceptTime: 0,
      EndTime: T + 9,
      RoomId: 'r',
    };
    const text = JSON.stringify(v4).replace('"9007199254740993"', '9007199254740993');
    expect(readings('call-record', text)).toEqual([
      {
        kind: 'record',
        call_id: 'c',
        caller: '9007199254740993',
        users: ['9007199254740993', 'bob'],
        room_id: 'r',
        media_type: 'video',
        call_type: 'group',
        call_result: 'not_answer',
        event_at: null,
        start_at: at(0),
        accept_at: null,
        end_at: at(9),
        total: 0,
      },
    ]);
    expect(record({ totalUserNumber: 3, callResult: 'Weird', mediaType: 'AUDIO' }).reading).toMatchObject({
      total: 3,
      call_result: 'weird',
      media_type: 'audio',
      users: ['ann', 'bob'],
    });
    expect(readings('call-record', { caller: 'ann' })).toEqual([{ kind: 'dead', why: 'no_call_id' }]);
    expect(readings('call-record', '[]')).toEqual([{ kind: 'dead', why: 'not_json' }]);
  });
});

describe('a REST record', () => {
  it('wins over a status callback, however new; its users are legs and its times count first', () => {
    const call = truth(status('cancel'), record({ acceptTs: T + 5, endTs: T + 60, roomId: 'r' }));
    expect(call).toMatchObject({ outcome: 'answered', sources: ['record'], caller: 'ann', callees: ['bob'], room_id: 'r' });
    expect(call).toMatchObject({ started_at: at(0), accepted_at: at(5), ended_at: at(60), ring_ms: 5_000, talk_ms: 55_000 });
  });
  it('is the newest as a whole; equal texts keep the smallest arrival, ties go to the larger end, then the larger bytes', () => {
    const first = record({ endTs: T + 60, roomId: 'r' }, at(600));
    expect(truth(first, record({ endTs: T + 50 }, at(601)))).toMatchObject({ ended_at: at(50), room_id: '' });
    const again = { ...first, received_at: at(700) };
    expect(truth(first, again, record({ endTs: T + 50 }, at(601)))).toMatchObject({ ended_at: at(50) });
    expect(truth(first, record({ endTs: T + 50 }, at(600)))).toMatchObject({ ended_at: at(60) });
    expect(truth(record({ roomId: 'a' }, at(600)), record({ roomId: 'b' }, at(600)))).toMatchObject({ room_id: 'b' });
  });
  it('without a result leaves the call to its events, even beside a status callback that has one', () => {
    const open = truthOf([record({ callResult: '', acceptTs: T + 5 }), status('cancel')], TIMES, at(601));
    expect(open).toMatchObject({ status: 'active', sources: ['record'] });
    expect(open.times_out_at).toBe(at(600) + TIMES.maxCall);
  });
  it('that contradicts the events is a conflict', () => {
    const events = [event('ann', 'start_call', 0, { Role: 'caller' }), event('bob', 'reject_call', 9, { Role: 'callee' })];
    expect(truth(...events, record({ callResult: 'not_answer' })).anomalies).toEqual(['record_conflict']);
    expect(truth(...events, record({ callResult: 'reject' })).anomalies).toEqual([]);
  });
});

describe('media polls', () => {
  const call = record({ acceptTs: T + 5, endTs: T + 60 });
  it('tell when a user entered and left, and how often the connection broke', () => {
    const events = poll('bob', [
      [5003, 6, 0],
      [5003, 7, 1],
      [5005, 20],
      [32790, 21],
      [5008, 50, 1],
      [7001, 55],
      [5008, 58, 0],
    ]);
    expect(leg('bob', call, events)).toMatchObject({ media_joined_at: at(7), media_left_at: at(55), media_drops: 2 });
    expect(truth(call, events).sources).toEqual(['record', 'media']);
    expect(leg('ann', call, events)).toMatchObject({ media_joined_at: null, media_left_at: null, media_drops: 0 });
  });
  it('count the newest that is not empty, and of it what lies within 5 minutes of the call', () => {
    const old = poll('bob', [[32788, 6]], at(700));
    const empty = poll('bob', [], at(900));
    expect(leg('bob', call, old, empty, poll('bob', [[32788, 9]], at(800))).media_joined_at).toBe(at(9));
    const far = poll('bob', [
      [32788, -301],
      [32788, -300],
      [32789, 360],
      [32789, 361],
    ]);
    expect(leg('bob', call, far)).toMatchObject({ media_joined_at: at(-300), media_left_at: at(360) });
    expect(truth(call, poll('bob', [[32788, 900]])).sources).toEqual(['record']);
    expect(truth(call, poll('ghost', [[32788, 9]])).sources).toEqual(['record']);
  });
  it('are dead without a list or a call', () => {
    expect(readings('user-event', {}, 'call_id=c')).toEqual([{ kind: 'dead', why: 'not_json' }]);
    expect(readings('user-event', [], 'user_id=u')).toEqual([{ kind: 'dead', why: 'no_call_id' }]);
    expect(readings('user-event', '[{"Content":[{"EventId":1,"Time":"soon"},{"Time":1},7]},3]', 'call_id=c%20d')).toEqual([
      { kind: 'media', call_id: 'c d', user_id: '', room_id: '', events: [] },
    ]);
  });
});

describe('recordings', () => {
  const told = (name: string, seconds: number | null, data: Fields = {}, received = at(seconds ?? 0)) => {
    const body = { EventType: `OnlineRecord${name}`, Timestamp: seconds === null ? 0 : T + seconds, EventData: { TaskId: 't', ...data } };
    return { reading: readings('tiw', body)[0] as RecordingReading, received_at: received };
  };
  it('rank recording below stopped below finished and failed, paused when the latest event warns', () => {
    const [started, warned, stopped] = [told('Started', 0), told('LongPauseWarning', 5), told('Stopped', 9)];
    const of = (...list: (typeof started)[]) => truthOfRecording(list).status;
    expect([of(started), of(warned, started), of(warned, told('Started', 6)), of(told('Stopped', 1), warned)]).toEqual([
      'recording',
      'paused',
      'recording',
      'stopped',
    ]);
    expect(of(told('Finished', 1), stopped)).toBe('finished');
    expect(of(told('Finished', 1, { FinishReason: 'EXCEPTION' }))).toBe('failed');
    expect(of(told('Finished', 1, { Error: {} }))).toBe('failed');
    expect(of(told('Finished', 1, { Error: null }))).toBe('finished');
    expect(truthOfRecording([warned, warned, told('LongPauseWarning', 8)]).pauses).toBe(2);
  });
  it('start and stop as the vendor says, else when it was reported', () => {
    const stop = (...list: ReturnType<typeof told>[]) => {
      const { started_at, stopped_at } = truthOfRecording(list);
      return [started_at, stopped_at];
    };
    expect(stop(told('Started', 3), told('Stopped', 9))).toEqual([at(3), at(9)]);
    expect(stop(told('Stopped', 9), told('LongPauseForceStopped', 10, { StopTime: T + 7 }))).toEqual([null, at(7)]);
    expect(stop(told('Started', 3), told('Finished', 20, { RecordStartTime: T + 2, RecordStopTime: T + 8 }))).toEqual([at(2), at(8)]);
    expect(stop(told('Started', null, {}, at(4)))).toEqual([at(4), null]);
  });
  it('merge differing bodies of one event, and take the result of the latest Finished as a whole', () => {
    const videos = (...ids: string[]) => ids.map((VideoId) => ({ VideoId, VideoType: 2 }));
    const merged = truthOfRecording([
      told('Finished', 9, { TotalTime: 5, RoomId: 'b', VideoInfos: videos('b') }),
      told('Finished', 9, { TotalTime: 4, RoomId: 7, VideoInfos: videos('a', 'c') }),
      told('Finished', 9, { VideoInfos: [] }),
    ]);
    expect(merged).toMatchObject({ total_ms: 5, room_id: '7', videos: [{ video_id: 'a', type: 'whiteboard' }, { video_id: 'c' }] });
    expect(truthOfRecording([told('Finished', 9, { TotalTime: 5 }), told('Finished', 10)])).toMatchObject({ total_ms: 0 });
  });
  it('are dead without a known event or a task', () => {
    const why = (body: unknown) => readings('tiw', body).map((r) => r.kind === 'dead' && r.why);
    expect([{}, { EventType: 'PPT' }, { EventType: 'OnlineRecordStarted' }].map(why)).toEqual([
      ['nothing'],
      ['unknown_event'],
      ['no_task_id'],
    ]);
  });
});

describe('channels', () => {
  const moved = (user: string, tag: string, seconds: number, session = 's'): ChannelInput => ({
    reading: {
      kind: 'channel',
      channel_id: 'ch',
      user_id: user,
      session_id: session,
      event: tag,
      event_at: at(seconds),
      message_id: 'm',
    },
    received_at: at(seconds),
  });
  const stay = (user: string, from: number, to: number, session = 's') => [
    moved(user, 'join', from, session),
    moved(user, 'leave', to, session),
  ];
  const sessions = (inputs: ChannelInput[], now = at(100_000)) => sessionsOf(inputs, TIMES, now);

  it('read a push and the log of it alike, escaped once or twice, however the ids are spelled', () => {
    const push = JSON.stringify({
      MsgId: 'm',
      ChannelID: 9099,
      Contents: [{ Event: 'UserEvent', UserEvent: { UserId: 'u', EventTag: 'Leave', SessionId: 's', Timestamp: T } }],
    });
    const said = { ...moved('u', 'leave', 0).reading, channel_id: '9099' };
    for (const Data of [push, JSON.stringify(push).slice(1, -1), JSON.parse(push)]) {
      expect(readings('aliyun-rtc', { Data, Code: 500, Time: '2026-03-01 20:00:00.000' })).toEqual([said]);
    }
    expect(readings('aliyun-rtc', push)).toEqual([said]);
  });
  it('are dead element by element', () => {
    const why = (body: unknown) => readings('aliyun-rtc', body).map((r) => (r.kind === 'dead' ? r.why : r.kind));
    expect(why({ Contents: [1] })).toEqual(['no_channel']);
    expect(why({ ChannelId: 'c', Contents: [] })).toEqual(['nothing']);
    expect(why({ Data: '{' })).toEqual(['not_json']);
    const channelEvent = { Event: 'ChannelEvent', ChannelEvent: { EventTag: 'Open' } };
    expect(why({ ChannelId: 'c', Contents: [1, { Event: 'X' }, { Event: 'UserEvent' }, channelEvent] })).toEqual([
      'nothing',
      'unknown_event',
      'nothing',
      'channel',
    ]);
  });
  it('have sessions with gaps of at most channelGap, of any users', () => {
    const spans = (inputs: ChannelInput[]) => sessions(inputs).map((s) => [s.started_at, s.ended_at]);
    expect(spans([...stay('a', 0, 10), ...stay('b', 70, 80)])).toEqual([[at(0), at(80)]]);
    expect(spans([...stay('a', 0, 10), ...stay('b', 71, 80)])).toEqual([
      [at(0), at(10)],
      [at(71), at(80)],
    ]);
    expect(spans([...stay('a', 0, 10), ...stay('b', 71, 80), ...stay('c', 5, 60, 'x')])).toEqual([[at(0), at(80)]]);
  });
  it('measure from the first join to the last leave, answered from when two are there', () => {
    const [one] = sessions([...stay('a', 0, 30), ...stay('b', 10, 40), ...stay('c', 45, 50)]);
    expect(one).toMatchObject({ outcome: 'answered', accepted_at: at(10), ring_ms: 10_000, talk_ms: 20_000, ended_at: at(50) });
    expect(one).toMatchObject({ call_type: 'channel', caller: '', callees: ['a', 'b', 'c'], end_reason: 'normal', status: 'ended' });
    expect(one?.legs.map((l) => [l.user_id, l.outcome, l.talk_ms])).toEqual([
      ['a', 'answered', 30_000],
      ['b', 'answered', 30_000],
      ['c', 'unknown', 5_000],
    ]);
    expect(sessions([...stay('a', 0, 10), ...stay('a', 5, 20, 'other'), ...stay('b', 20, 30)])).toMatchObject([
      { outcome: 'unknown', accepted_at: null, ring_ms: 0, missed: false, end_reason: 'unknown' },
    ]);
  });
  it('open nothing by a Leave, and are over when nobody was there for channelGap', () => {
    expect(sessions([moved('a', 'leave', 5), moved('b', 'publish', 6), moved('', 'join', 7)])).toEqual([]);
    const inputs = [...stay('a', 0, 10), ...stay('b', 5, 20)];
    expect(sessions(inputs, at(20) + TIMES.channelGap - 1)).toMatchObject([
      { status: 'active', ended_at: null, talk_ms: 0, end_reason: '' },
    ]);
    expect(sessions(inputs, at(20) + TIMES.channelGap)).toMatchObject([{ status: 'ended', ended_at: at(20) }]);
    expect(sessions([moved('a', 'join', 0)], at(9))).toMatchObject([{ status: 'ringing', over_at: at(0) + TIMES.maxCall }]);
  });
  it('end an open Join at the next of its user, else at the latest event', () => {
    const again = sessions([moved('a', 'join', 0, 'x'), ...stay('a', 40, 50, 'y'), ...stay('b', 30, 45)]);
    expect(again).toMatchObject([{ talk_ms: 15_000, ended_at: at(50), end_reason: 'normal' }]);
    const never = sessions([moved('a', 'join', 0), ...stay('b', 10, 45)]);
    expect(never).toMatchObject([{ ended_at: at(45), talk_ms: 35_000, end_reason: 'timed_out', over_at: at(45) + TIMES.maxCall }]);
    expect(sessions([moved('a', 'join', 0), ...stay('b', 10, 45)], at(100))[0]!.legs).toMatchObject([
      { left_at: null },
      { left_at: at(45) },
    ]);
  });
  it('take a Leave before a Join of the same moment for whoever was there', () => {
    const back = sessions([moved('a', 'join', 0), moved('a', 'leave', 10), moved('a', 'join', 10), moved('a', 'leave', 20)]);
    expect(back).toMatchObject([{ ended_at: at(20), legs: [{ joined_at: at(0), left_at: at(20) }] }]);
    expect(sessions([moved('a', 'join', 10), moved('a', 'leave', 10)])).toMatchObject([{ started_at: at(10), ended_at: at(10) }]);
  });
});

describe('pairs', () => {
  const call = (more: Partial<Paired>, callee = 'b', outcome = 'no_answer'): Paired => ({
    app_id: '1',
    call_id: 'c',
    room_id: 'r',
    caller: 'a',
    status: 'ended',
    end_reason: 'no_answer',
    started_at: at(0),
    ended_at: at(30),
    ring_ms: 5_000,
    legs: [
      { user_id: 'a', role: 'caller', outcome },
      { user_id: callee, role: 'callee', outcome },
    ],
    ...more,
  });
  const missed = (...calls: Paired[]) => [...missedUnreturned(calls).values()].map((p) => [p.caller, p.callee, p.missed_count]);
  it('miss a call until the two speak, either way; a cancelled one after 5 seconds of ringing', () => {
    expect(missed(call({}), call({ started_at: at(9) }, 'b', 'busy'))).toEqual([['a', 'b', 2]]);
    expect(missed(call({}, 'b', 'cancelled'), call({ ring_ms: 4_999 }, 'c', 'cancelled'))).toEqual([['a', 'b', 1]]);
    const back = call({ caller: 'b', started_at: at(50), status: 'active', legs: [{ user_id: 'a', role: 'callee', outcome: 'answered' }] });
    expect(missed(call({}), back, call({ started_at: at(60) }))).toEqual([['a', 'b', 1]]);
    expect(missed(call({ started_at: at(50) }), back)).toEqual([['a', 'b', 1]]);
    expect(missed(call({ caller: '' }), call({ status: 'ringing' }), call({ end_reason: 'merged' }), call({}, 'b', 'rejected'))).toEqual(
      [],
    );
  });
  it('put a recording with the calls of its room that it overlaps', () => {
    const base = truthOfRecording([
      {
        reading: readings('tiw', {
          EventType: 'OnlineRecordStarted',
          Timestamp: T + 30,
          EventData: { TaskId: 't', RoomId: 'r' },
        })[0] as RecordingReading,
        received_at: at(30),
      },
    ]);
    const is = (recording: Partial<typeof base>, of: Partial<Paired>) => isRecordingOf({ ...base, ...recording }, call(of), at(100));
    expect([is({}, {}), is({}, { ended_at: at(31) }), is({}, { ended_at: null }), is({}, { ended_at: null, started_at: at(100) })]).toEqual(
      [false, true, true, false],
    );
    expect([is({ stopped_at: at(0) }, { ended_at: null }), is({ room_id: 'x' }, { ended_at: null })]).toEqual([false, false]);
    expect([is({ room_id: '' }, { room_id: '', ended_at: null }), is({ started_at: null }, { ended_at: null })]).toEqual([false, false]);
  });
});
