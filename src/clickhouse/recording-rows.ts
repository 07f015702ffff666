import type { Recording } from '../codec/generated.js';
import type { RowWriter } from './row-writer.js';

/** Columns of `recordings_latest`, in the order of {@link writeRecording}. */
export const RECORDING_COLUMNS = [
  'provider',
  'app_id',
  'task_id',
  'room_id',
  'group_id',
  'record_user_id',
  'status',
  'started_at',
  'stopped_at',
  'total_ms',
  'finish_reason',
  'exceptions',
  'error_code',
  'error_message',
  'pauses',
  'videos',
  'omitted',
  'revision',
  'first_seen_at',
  'updated_at',
  'state',
] as const;

/** `frame` is the record's value as it stands on the topic. */
export function writeRecording(w: RowWriter, r: Recording, frame: Uint8Array): void {
  w.string(r.provider);
  w.string(r.app_id);
  w.string(r.task_id);
  w.string(r.room_id);
  w.string(r.group_id);
  w.string(r.record_user_id);
  w.string(r.status);
  w.nullableTime(r.started_at);
  w.nullableTime(r.stopped_at);
  w.u64(r.total_ms);
  w.string(r.finish_reason);
  w.u64(r.exceptions);
  w.string(r.error_code);
  w.string(r.error_message);
  w.u64(r.pauses);
  w.count(r.videos.length);
  for (const video of r.videos) {
    w.string(video.user_id);
    w.string(video.video_id);
    w.string(video.type);
    w.string(video.format);
    w.string(video.url);
    w.u64(video.play_time_ms);
    w.u64(video.duration_ms);
    w.u64(video.size_bytes);
    w.u64(video.width);
    w.u64(video.height);
  }
  w.count(r.omitted.length);
  for (const omission of r.omitted) {
    w.u64(omission.video_time_ms);
    w.u64(omission.pause_time_ms);
    w.u64(omission.resume_time_ms);
  }
  w.u64(r.revision);
  w.time(r.first_seen_at);
  w.time(r.updated_at);
  w.bytes(frame);
}
