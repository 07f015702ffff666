import { readChannel } from './read-channel.js';
import { readMedia } from './read-media.js';
import { readRecord } from './read-record.js';
import { readRecording } from './read-recording.js';
import { readAll } from './read-v4.js';
import type { Reading } from './reading.js';

/** Sources of raw topics, and the vendor behind each. */
export const PROVIDERS = {
  tuicallkit: 'tencent',
  tiw: 'tencent',
  'call-record': 'tencent',
  'user-event': 'tencent',
  'aliyun-rtc': 'aliyun',
} as const;
export type SourceName = keyof typeof PROVIDERS;
export const SOURCE_NAMES = Object.keys(PROVIDERS) as SourceName[];

/** Everything that one raw delivery says, element by element. */
export function readDelivery(source: SourceName, query: string, body: Uint8Array): Reading[] {
  switch (source) {
    case 'tuicallkit':
      return readAll(query, body);
    case 'tiw':
      return [readRecording(body)];
    case 'call-record':
      return [readRecord(body)];
    case 'user-event':
      return [readMedia(query, body)];
    case 'aliyun-rtc':
      return readChannel(body);
  }
}
