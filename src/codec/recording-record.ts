import type {
  RecordingEvent,
  RecordingFacts,
  RecordingInput,
  RecordingOmission,
  RecordingState,
  RecordingVideo,
} from '../domain/recording.js';
import type { Provider } from '../domain/vocabulary.js';
import type { Recording, RecordingEntry } from './generated.js';

/** The part of a Recording that is neither derived nor input: its history of publication. Times in epoch ms. */
export interface RecordingPublication {
  revision: number;
  first_seen_at: number;
  updated_at: number;
  /** Stream time of the last change. */
  last_change_at: number;
}

/** The Avro record of one revision. */
export const packRecording = (state: RecordingState, facts: RecordingFacts, publication: RecordingPublication): Recording => ({
  provider: state.provider,
  app_id: state.app_id,
  task_id: state.task_id,
  ...facts,
  videos: [...facts.videos],
  omitted: [...facts.omitted],
  ...publication,
  inputs: state.inputs.map((input) => ({ ...input, videos: [...input.videos], omitted: [...input.omitted] })),
});

/** The state and history inside a Recording. */
export const unpackRecording = (record: Recording): { state: RecordingState; publication: RecordingPublication } => ({
  state: {
    provider: record.provider as Provider,
    app_id: record.app_id,
    task_id: record.task_id,
    inputs: record.inputs.map(unpackInput),
  },
  publication: {
    revision: record.revision,
    first_seen_at: record.first_seen_at,
    updated_at: record.updated_at,
    last_change_at: record.last_change_at,
  },
});

/** Plain objects again, with fields in the order of their types: lists compare as JSON. */
const unpackInput = (e: RecordingEntry): RecordingInput => ({
  ...e,
  event: e.event as RecordingEvent,
  videos: e.videos.map(unpackVideo),
  omitted: e.omitted.map(unpackOmission),
});

const unpackVideo = (v: RecordingVideo): RecordingVideo => ({
  user_id: v.user_id,
  video_id: v.video_id,
  type: v.type,
  format: v.format,
  url: v.url,
  play_time_ms: v.play_time_ms,
  duration_ms: v.duration_ms,
  size_bytes: v.size_bytes,
  width: v.width,
  height: v.height,
});

const unpackOmission = (o: RecordingOmission): RecordingOmission => ({
  video_time_ms: o.video_time_ms,
  pause_time_ms: o.pause_time_ms,
  resume_time_ms: o.resume_time_ms,
});
