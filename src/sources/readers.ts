import type { MediaEvent, RecordFields } from '../domain/types.js';
import { parseObject } from './json.js';
import { statusFields } from './tuicallkit.js';

const EMPTY: RecordFields = {
  start_at: null,
  accept_at: null,
  end_at: null,
  result: '',
  caller: '',
  users: [],
  total_users: 0,
  room_id: '',
  media_type: '',
  call_type: '',
  event_at: null,
};

/** Reads again the source text of a record that a call keeps among its inputs. Total: a text that was once accepted is accepted again. */
export function readRecordText(_origin: 'record' | 'status', text: string): RecordFields {
  const parsed = parseObject(Buffer.from(text));
  return parsed.ok ? statusFields(parsed.body) : EMPTY;
}

/** Reads again the source text of a media poll; no source yields one yet. */
export function readMediaText(_text: string): MediaEvent[] {
  return [];
}
