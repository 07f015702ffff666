/** What workers have published, with its users under the ids that they go by today. */
import { packCall, unpackCall } from '../codec/call-record.js';
import type { Call, Recording } from '../codec/generated.js';
import { packRecording, unpackRecording } from '../codec/recording-record.js';
import { deriveCall } from '../domain/call.js';
import { deriveRecording } from '../domain/recording.js';
import { readMediaText, readRecordText } from '../sources/readers.js';
import type { Users } from './users.js';

/**
 * The same revision of a call; the very same where nobody in it, nor in what it is made of, has another id. null: a channel session where somebody has, for its
 * name would be another as well. Throws what unpacking and deriving throw.
 */
export function showCall(call: Call, users: Users): Call | null {
  if (users.asTheyCome) return call;
  const isOther = (user: string): boolean => users.idOf(call.app_id, user) !== user;
  if (call.channel_events.some((e) => isOther(call.strings[e.user] ?? ''))) return null;
  const { state, publication } = unpackCall(call, { record: readRecordText, media: readMediaText });
  const shown = users.ofState(state);
  if (shown === state) return call;
  return packCall(shown, deriveCall(shown), { ...publication, final_outcome: call.final_outcome });
}

/** As {@link showCall}, of a recording. */
export function showRecording(recording: Recording, users: Users): Recording {
  const { state, publication } = unpackRecording(recording);
  const shown = users.ofRecording(state);
  return shown === state ? recording : packRecording(shown, deriveRecording(shown), publication);
}
