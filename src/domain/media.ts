import { compareBytes } from './order.js';
import { known } from './tally.js';
import type { MediaInput } from './types.js';

/** What the media path of one user says. */
export interface MediaFacts {
  joined_at: number | null;
  left_at: number | null;
  drops: number;
  /** At least one event lies close enough to the call to count. */
  used: boolean;
}

const NO_MEDIA: MediaFacts = { joined_at: null, left_at: null, drops: 0, used: false };

/** Media events this far outside of the call still count. */
const SLACK_MS = 5 * 60_000;

// Event ids of DescribeUserEvent; those below 32768 come from native clients, the others from WebRTC.
const ENTERED_ROOM = 5003;
const EXITED_ROOM = 5008;
const ROOM_EXIT = 7001;
const WEB_ENTERED_ROOM = 32788;
const WEB_EXITED_ROOM = 32789;
const CONNECTION_LOST = new Set([5005, 32790, 32792, 36864]);
const SUCCESS = 1;

/** Reads the winning poll of a user: its events within five minutes of started_at..ended_at (an unknown end bounds nothing). */
export function mediaOf(media: readonly MediaInput[], userId: string, startedAt: number, endedAt: number | null): MediaFacts {
  const poll = winningPoll(media, userId);
  if (poll === null) return NO_MEDIA;
  const from = startedAt - SLACK_MS;
  const to = endedAt === null ? Infinity : endedAt + SLACK_MS;
  let joined = Infinity;
  let left = -Infinity;
  let drops = 0;
  let used = false;
  for (const { event_id: id, at, param_one: param } of poll.events) {
    if (at < from || at > to) continue;
    used = true;
    if (id === WEB_ENTERED_ROOM || (id === ENTERED_ROOM && param === SUCCESS)) joined = Math.min(joined, at);
    else if (id === WEB_EXITED_ROOM || id === ROOM_EXIT || (id === EXITED_ROOM && param === SUCCESS)) left = Math.max(left, at);
    else if (CONNECTION_LOST.has(id)) drops++;
  }
  return { joined_at: known(joined), left_at: known(left), drops, used };
}

/** The newest poll that is not empty wins as a whole (ties: larger bytes). */
function winningPoll(media: readonly MediaInput[], userId: string): MediaInput | null {
  let winner: MediaInput | null = null;
  for (const poll of media) {
    if (poll.user_id !== userId || poll.events.length === 0) continue;
    if (
      winner === null ||
      poll.received_at > winner.received_at ||
      (poll.received_at === winner.received_at && compareBytes(poll.text, winner.text) > 0)
    ) {
      winner = poll;
    }
  }
  return winner;
}
