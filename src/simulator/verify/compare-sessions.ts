import type { CALLS, RowOf } from '../../clickhouse/relations.js';
import { callKey, channelEventKey } from '../truth/deliveries.js';
import { type Comparison, channelNamed, nameOf, type OwnSession } from './comparison.js';
import { standingsOf } from './fate.js';

export type CallRow = RowOf<typeof CALLS>;

export const isOwnChannel = (c: Comparison, app_id: string, channel_id: string): boolean =>
  c.deliveries.channels.has(callKey(app_id, channel_id));

/** A session's row: by content, and by a name that is the id of one of its events. */
export function compareSession(c: Comparison, own: OwnSession, row: CallRow, from: number, to: number): void {
  const expected = standingsOf(own.fate, c.settle, from, to).map(({ truth, final }) => {
    const { legs: _legs, identities: _identities, over_at: _overAt, ...facts } = truth;
    return { provider: 'aliyun', ...facts, final };
  });
  c.differences.fields('session', nameOf(row), expected, row);
  const names = own.fate.open.identities.map((identity) => {
    const event = c.eventIds.get(channelEventKey(own.app_id, own.channel_id, identity));
    return `channel:${own.channel_id}:${event}`;
  });
  if (!names.includes(row.call_id)) c.differences.add('session', `${nameOf(row)}: its name is that of none of its events`);
}

const MERGED = {
  provider: 'aliyun',
  media_type: '',
  caller: '',
  callees: [],
  total_users: 0,
  status: 'ended',
  outcome: 'unknown',
  accepted_at: null,
  ring_ms: 0,
  talk_ms: 0,
  missed: false,
  missed_inclusive: false,
};

/** A name that stands for no session any more, or not yet: there may be any number of them, all measures 0. */
export function compareMerged(c: Comparison, row: CallRow): void {
  c.differences.fields('merged session', nameOf(row), MERGED, row);
  if (channelNamed(row.call_id) !== row.room_id) c.differences.add('merged session', `${nameOf(row)}: not named after its channel`);
}
