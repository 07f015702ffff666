import type { MediaEvent, RecordFields } from '../domain/types.js';
import { recordFields } from './call-record.js';
import { parseObject } from './json.js';
import { statusFields } from './tuicallkit.js';
import { readMediaEvents } from './user-event.js';

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
export function readRecordText(origin: 'record' | 'status', text: string): RecordFields {
  const parsed = parseObject(Buffer.from(text));
  if (!parsed.ok) return EMPTY;
  return origin === 'record' ? recordFields(parsed.body) : statusFields(parsed.body);
}

/** Reads again the source text of a media poll. Total. */
export const readMediaText = (text: string): MediaEvent[] => readMediaEvents(text);
