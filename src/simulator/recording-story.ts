import { createHash } from 'node:crypto';
import type { ChaosRates, Delays, Sendable } from './chaos.js';
import { scatter } from './chaos.js';
import type { Random } from './random.js';
import type { CallFacts } from './vendor/facts.js';
import { type Delivery, encode, seconds } from './wire.js';

type Fields = Record<string, unknown>;

/** One event of a recording task. */
interface TaskEvent {
  at: number;
  type: string;
  data: Fields;
}

export interface RecordingOptions {
  task_id: string;
  /** The app's callback key. */
  key: string;
  /** When the run began, epoch ms: signatures are good for a week from then or, if that is later, from the event. */
  begin_at: number;
}

/** How a recording goes, and how often. */
const COURSES = { finished: 66, paused: 14, forced: 6, failed: 8, unfinished: 6 };
type Course = keyof typeof COURSES;

/** A paused recording is stopped after so long (vendors.md §6). */
const LONGEST_PAUSE_MS = 90 * 60_000;
const SIGNED_FOR_S = 7 * 86_400;

/** The whiteboard recording of a group call (vendor-docs/tiw-recording-callbacks.txt; vendors.md §6), as the requests that go out for it. */
export function planRecording(random: Random, facts: CallFacts, options: RecordingOptions, rates: ChaosRates, delays: Delays): Delivery[] {
  const events = tellRecording(random, facts, options.task_id);
  const sendables = events.map(({ at, type, data }): Sendable => {
    const deliver = (said: Fields) => (send_at: number) => ({
      send_at,
      source: 'tiw' as const,
      app_id: facts.app_id,
      query: '',
      body: encode(envelope(facts.app_id, options, { at, type, data: said })),
      expect: 200 as const,
    });
    return { at, deliver: deliver(data), differing: () => deliver(differing(random, data)) };
  });
  return scatter(random, rates, sendables, delays);
}

/** Sign = md5_hex(key + ExpireTime): it covers nothing else. */
function envelope(app_id: string, { key, begin_at }: RecordingOptions, { at, type, data }: TaskEvent): Fields {
  const ExpireTime = seconds(Math.max(at, begin_at)) + SIGNED_FOR_S;
  return {
    EventData: data,
    EventType: `OnlineRecord${type}`,
    ExpireTime,
    SdkAppId: numberIfAny(app_id),
    Sign: createHash('md5').update(`${key}${ExpireTime}`).digest('hex'),
    Timestamp: seconds(at),
  };
}

/** The page types ids as integers; an id of other letters stays text. */
const numberIfAny = (id: string): unknown => (/^(?:0|[1-9]\d{0,14})$/.test(id) ? Number(id) : id);

function tellRecording(random: Random, facts: CallFacts, task_id: string): TaskEvent[] {
  const course = random.weighted<Course>(COURSES);
  const from = (facts.accept_at ?? facts.start_at) + random.int(500, 4_000);
  const to = Math.max(from + 1_000, facts.end_at + random.int(-400, 1_500));
  const about = {
    TaskId: task_id,
    RoomId: numberIfAny(facts.room_id),
    RecordUserId: `tic_record_user_${facts.room_id}_${random.int(1, 9)}`,
  };
  const events: TaskEvent[] = [];
  const say = (at: number, type: string, data: Fields = {}) => events.push({ at: Math.floor(at), type, data: { ...data, ...about } });
  const finishedAt = to + random.int(1_500, 20_000);
  const finished = (FinishReason: string, pauses: readonly Pause[], more: Fields = {}) =>
    say(finishedAt, 'Finished', { GroupId: `@TGS#${facts.room_id}`, FinishReason, ...lengths(random, facts, from, to, pauses), ...more });

  if (course === 'failed' && random.chance(0.5)) {
    // It never began.
    finished('EXCEPTION', [], { ...nothing(to), ...failure(random, to) });
    return events;
  }
  say(from, 'Started');
  const pause = { from: from + (to - from) * (0.2 + 0.3 * random.next()), to: from + (to - from) * (0.6 + 0.3 * random.next()) };
  const PauseTime = seconds(pause.from);
  if (course === 'paused' || course === 'forced')
    say(pause.from, 'LongPauseWarning', { PauseTime, EstimateStopTime: PauseTime + LONGEST_PAUSE_MS / 1_000 });
  if (course === 'forced') say(to, 'LongPauseForceStopped', { PauseTime, StopTime: seconds(to) });
  else if (course !== 'failed') say(to, 'Stopped');
  if (course === 'finished') finished(random.pick(['USER_CALL', 'AUTO']), []);
  if (course === 'paused') finished('USER_CALL', [pause]);
  if (course === 'forced') finished('FORCE_STOP', [pause]);
  if (course === 'failed') finished('EXCEPTION', [], failure(random, to));
  return events;
}

interface Pause {
  from: number;
  to: number;
}

const nothing = (to: number): Fields => ({ RecordStartTime: 0, RecordStopTime: seconds(to), TotalTime: 0, VideoInfos: [] });
const failure = (random: Random, to: number): Fields => ({
  Error: { Code: 'FailedOperation.Record', Message: `code: ${random.int(40_001, 40_009)}, at ${seconds(to)}: the recording broke off\n` },
  ExceptionCnt: random.int(1, 5),
});

/** Times, lengths and videos of what was recorded. Lengths are in milliseconds, whatever the page says. */
function lengths(random: Random, facts: CallFacts, from: number, to: number, pauses: readonly Pause[]): Fields {
  const omitted = pauses.map((pause) => ({ ...pause, length: pause.to - pause.from }));
  const TotalTime = Math.max(0, Math.floor(to - from - omitted.reduce((sum, { length }) => sum + length, 0)) - random.int(0, 400));
  const video = (UserId: string, VideoType: number): Fields => {
    const VideoId = createHash('md5').update(`${facts.call_id}:${UserId}:${VideoType}`).digest('hex');
    return {
      UserId,
      VideoDuration: Math.max(0, TotalTime - random.int(0, 600)),
      VideoFormat: VideoType === 4 ? 'mp3' : 'mp4',
      VideoId,
      VideoPlayTime: random.int(0, 700),
      VideoSize: 1_000 + Math.floor(TotalTime * 33),
      VideoType,
      VideoUrl: `https://recordings.example/${VideoId}.mp4`,
      ...(random.chance(0.5) && VideoType < 4 ? { Width: 1280, Height: 720 } : {}),
    };
  };
  return {
    RecordStartTime: seconds(from),
    RecordStopTime: seconds(to),
    TotalTime,
    ExceptionCnt: random.chance(0.1) ? random.int(1, 3) : 0,
    OmittedDurations: omitted.map((pause) => ({
      VideoTime: Math.floor(pause.from - from),
      PauseTime: Math.floor(pause.from),
      ResumeTime: Math.floor(pause.to),
    })),
    VideoInfos: [
      ...facts.presences.slice(0, 3).map(({ user }) => video(user, random.pick([0, 0, 1, 4]))),
      video(`tic_mixstream_${facts.room_id}_101`, 3),
      ...(random.chance(0.6) ? [video('', 2)] : []),
    ],
  };
}

/** Another body of the same event: its task, type and time stay. */
function differing(random: Random, source: Fields): Fields {
  const data = { ...source };
  const changes = [
    () => (data.Extra = random.token(6)),
    () => (data.RecordUserId = random.pick(['', 'tic_record_user_other'])),
    () => (data.RoomId = typeof data.RoomId === 'number' ? String(data.RoomId) : data.RoomId),
    () => (data.TotalTime = typeof data.TotalTime === 'number' ? data.TotalTime + random.int(1, 500) : data.TotalTime),
    () => (data.GroupId = random.pick([undefined, '', '@TGS#other'])),
    () => (data.VideoInfos = Array.isArray(data.VideoInfos) ? data.VideoInfos.slice(1) : data.VideoInfos),
  ];
  for (let n = random.int(1, 2); n > 0; n--) random.pick(changes)();
  return data;
}
