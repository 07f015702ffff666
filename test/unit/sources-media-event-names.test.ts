import { expect, it } from 'vitest';
import { MEDIA_EVENT_IDS, mediaEventName, mediaEventParameter } from '../../src/sources/media-event-names.js';

it('has a name of its own for every id of the vendor’s tables', () => {
  const native = [
    ...[1001, 1002, 1003, 2001, 2002, 3001, 3002, 3003, 3004],
    ...Array.from({ length: 15 }, (_, i) => 4001 + i),
    ...Array.from({ length: 9 }, (_, i) => 5001 + i),
    ...[6001, 7000, 7001],
  ];
  const web = [...Array.from({ length: 26 }, (_, i) => 32768 + i), 36864];
  expect(MEDIA_EVENT_IDS).toEqual([...native, ...web]);
  const names = MEDIA_EVENT_IDS.map(mediaEventName);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^[a-z]+(?:_[a-z]+)*$/);
});

it.each([
  [5003, 1, 'room_entered', 'ok'],
  [5003, 0, 'room_entered', 'failed'],
  [5008, 1, 'room_exited', 'ok'],
  [7001, 2, 'room_exit', 'removed'],
  [1003, 1, 'network', 'wifi'],
  [3001, 3, 'microphone', 'unmuted'],
  [3003, 11, 'audio_codec', 'opus'],
  [4006, 0, 'upstream_video', 'on'],
  [4006, 1, 'upstream_video', 'off'],
  [6001, 101, 'quality_control', 'cloud_smooth'],
  [4003, 640, 'video_resolution_changed', ''],
  [32788, -1, 'web_room_entered', ''],
  [36864, -1, 'backend_signaling_lost', ''],
  [1003, 6, 'network', ''],
  [1003, -1, 'network', ''],
  [1003, Number.NaN, 'network', ''],
  [9999, 1, 'event_9999', ''],
])('%i with %i is %s %s', (id, param, name, word) => {
  expect(mediaEventName(id)).toBe(name);
  expect(mediaEventParameter(id, param)).toBe(word);
});
