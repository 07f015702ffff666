import { count, fieldsOf, id, isRecord, isThere, list, named, record, time, word } from './fields.js';
import { type DeadReading, dead, type RecordingReading } from './reading.js';

/** In the order of a recording's life: of two events of one moment the later listed is the later. */
export const RECORDING_EVENTS = [
  'OnlineRecordStarted',
  'OnlineRecordLongPauseWarning',
  'OnlineRecordLongPauseForceStopped',
  'OnlineRecordStopped',
  'OnlineRecordFinished',
];

const VIDEO_TYPES: Record<string, string> = { 0: 'camera', 1: 'screen', 2: 'whiteboard', 3: 'mixed', 4: 'audio' };

/** A whiteboard callback (tiw-recording-callbacks.txt; vendors.md §6). Lengths are milliseconds, whatever the page says. */
export function readRecording(body: Uint8Array): RecordingReading | DeadReading {
  const b = fieldsOf(body);
  if (b === null) return dead('not_json');
  if (!isThere(b.EventType)) return dead('nothing');
  const event = RECORDING_EVENTS.find((name) => name.toLowerCase() === word(b.EventType));
  if (event === undefined) return dead('unknown_event');
  const data = record(b.EventData);
  const task_id = id(data.TaskId);
  if (task_id === '') return dead('no_task_id');
  const error = record(data.Error);
  return {
    kind: 'recording',
    task_id,
    event,
    event_at: time(b.Timestamp),
    room_id: id(data.RoomId),
    group_id: id(data.GroupId),
    user_id: id(data.RecordUserId),
    record_start: time(data.RecordStartTime),
    record_stop: time(data.RecordStopTime),
    forced_stop: event === 'OnlineRecordLongPauseForceStopped' ? time(data.StopTime) : null,
    total_ms: count(data.TotalTime),
    reason: word(data.FinishReason),
    exceptions: count(data.ExceptionCnt),
    failed: isThere(data.Error),
    error_code: id(error.Code),
    error_message: id(error.Message),
    videos: list(data.VideoInfos)
      .filter(isRecord)
      .map((v) => ({
        user_id: id(v.UserId),
        video_id: id(v.VideoId),
        type: named(id(v.VideoType), VIDEO_TYPES) ?? id(v.VideoType),
        format: id(v.VideoFormat),
        url: id(v.VideoUrl),
        play_time_ms: count(v.VideoPlayTime),
        duration_ms: count(v.VideoDuration),
        size_bytes: count(v.VideoSize),
        width: count(v.Width),
        height: count(v.Height),
      })),
    omitted: list(data.OmittedDurations)
      .filter(isRecord)
      .map((o) => ({ video_time_ms: count(o.VideoTime), pause_time_ms: count(o.PauseTime), resume_time_ms: count(o.ResumeTime) })),
  };
}
