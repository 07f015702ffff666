const hexList = (ids: readonly string[]): string => ids.map((id) => Buffer.from(id).toString('hex')).join(',');

const column = (ids: readonly string[]): string => `arrayMap(x -> unhex(x), splitByChar(',', '${hexList(ids)}'))`;

/**
 * The pairs (app_id, call_id) of these calls, as the right side of IN. In the text of the query, because a server takes no parameter longer than
 * 128 KiB, and a single id may be longer; in hexadecimal, so that no id can be anything but data.
 */
export const keysOf = (calls: readonly { app_id: string; call_id: string }[]): string =>
  `(SELECT arrayJoin(arrayZip(${column(calls.map((c) => c.app_id))}, ${column(calls.map((c) => c.call_id))})))`;
