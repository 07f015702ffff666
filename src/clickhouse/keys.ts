export const hex = (text: string): string => Buffer.from(text).toString('hex');

/**
 * Texts as an Array(String). In the text of the query, because a server takes no parameter longer than 128 KiB, and a single id may be longer; in
 * hexadecimal, so that no id can be anything but data.
 */
export const textsOf = (ids: readonly string[]): string => `arrayMap(x -> unhex(x), splitByChar(',', '${ids.map(hex).join(',')}'))`;

/** Pairs of app and id, as the right side of IN. */
const pairsOf = (apps: readonly string[], ids: readonly string[]): string =>
  `(SELECT arrayJoin(arrayZip(${textsOf(apps)}, ${textsOf(ids)})))`;

/** The pairs (app_id, call_id) of these calls. */
export const keysOf = (calls: readonly { app_id: string; call_id: string }[]): string =>
  pairsOf(
    calls.map((c) => c.app_id),
    calls.map((c) => c.call_id),
  );

/** The pairs (app_id, room_id) of these channels. */
export const roomKeysOf = (channels: readonly { app_id: string; channel_id: string }[]): string =>
  pairsOf(
    channels.map((c) => c.app_id),
    channels.map((c) => c.channel_id),
  );

/** The pairs (app_id, task_id) of these recordings. */
export const taskKeysOf = (recordings: readonly { app_id: string; task_id: string }[]): string =>
  pairsOf(
    recordings.map((r) => r.app_id),
    recordings.map((r) => r.task_id),
  );
