import { personName } from './call-row.js';
import { h } from './dom.js';
import { clockTime, dayTime, duration, exactTime, sameDay } from './format.js';
import type { RecordingOfCall, RecordingStatus, Video } from './types.js';

/*
 * What is said of a recording on its own page and on that of a call.
 */

export const RECORDING_WORDS: Record<RecordingStatus, string> = {
  recording: 'Recording',
  paused: 'Paused',
  stopped: 'Stopped, files to come',
  finished: 'Finished',
  failed: 'Failed',
};

export const recordingBadge = (status: RecordingStatus): HTMLElement =>
  h('span', { class: `badge rec-${status}` }, h('i', { 'aria-hidden': 'true' }), RECORDING_WORDS[status]);

/** From when until when, as short as the day allows. */
export function spanText({ started_at, stopped_at }: Pick<RecordingOfCall, 'started_at' | 'stopped_at'>, tz: string): string {
  const begun = started_at === null ? 'unknown start' : dayTime(started_at, tz);
  if (stopped_at === null) return `${begun} – no end known`;
  const same = started_at !== null && sameDay(started_at, stopped_at, tz);
  return `${begun} – ${same ? clockTime(stopped_at, tz) : dayTime(stopped_at, tz)}`;
}

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];

/** `4.2 MB`: thousands, as vendors count them. */
export function sizeText(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${UNITS[power]}`;
}

/**
 * The files of a recording. Addresses are the vendor's: only those of the web become links.
 * @param personOf the address of a user's page
 */
export function videoList(videos: readonly Video[], personOf: (user: string) => string): HTMLElement {
  if (videos.length === 0) return h('p', { class: 'dim' }, 'No files yet.');
  return h('ul', { class: 'videos' }, ...videos.map((video) => videoItem(video, personOf)));
}

function videoItem(video: Video, personOf: (user: string) => string): HTMLElement {
  const name = [video.type, video.format].filter((part) => part !== '').join(' · ') || video.video_id || 'file';
  const facts = [
    video.duration_ms > 0 && duration(video.duration_ms),
    video.size_bytes > 0 && sizeText(video.size_bytes),
    video.width > 0 && `${video.width} × ${video.height}`,
  ].filter(Boolean);
  return h(
    'li',
    {},
    /^https?:\/\//i.test(video.url)
      ? h('a', { href: video.url, target: '_blank', rel: 'noopener noreferrer', title: video.url }, name)
      : h('span', { title: video.url }, name),
    video.user_id !== '' && h('small', {}, ' of ', personName(video.user_id, personOf(video.user_id))),
    facts.length > 0 && h('small', {}, `, ${facts.join(', ')}`),
  );
}

/**
 * The recordings that overlap a call.
 * @param linkOf the address of a recording
 * @param personOf that of a user's page
 */
export const recordingsOfCall = (
  recordings: readonly RecordingOfCall[],
  tz: string,
  linkOf: (task: string) => string,
  personOf: (user: string) => string,
): HTMLElement =>
  h(
    'ul',
    { class: 'of-call' },
    ...recordings.map((recording) =>
      h(
        'li',
        {},
        h(
          'p',
          {},
          h('a', { href: linkOf(recording.task_id), 'data-link': true, title: recording.task_id }, spanText(recording, tz)),
          recordingBadge(recording.status),
          recording.total_ms > 0 && h('small', {}, `${duration(recording.total_ms)} long`),
          recording.started_at !== null && h('span', { class: 'sr' }, exactTime(recording.started_at, tz)),
        ),
        videoList(recording.videos, personOf),
      ),
    ),
  );
