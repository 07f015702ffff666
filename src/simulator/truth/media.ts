import { greatest, least } from './least.js';
import type { MediaReading } from './reading.js';

/** What a user's media events say of the leg; `used`: at least one of them counts. */
export interface TruthMedia {
  media_joined_at: number | null;
  media_left_at: number | null;
  media_drops: number;
  used: boolean;
}

const NEAR = 5 * 60_000;
const DROPS = [5005, 32790, 32792, 36864];

/** Only events within 5 minutes of started_at..ended_at count, an unknown end bounding nothing; of any peer. */
export function mediaOf(poll: MediaReading | undefined, started_at: number, ended_at: number | null): TruthMedia {
  const near = (poll?.events ?? []).filter((e) => e.at >= started_at - NEAR && (ended_at === null || e.at <= ended_at + NEAR));
  const came = near.filter((e) => (e.event === 5003 && e.one === 1) || e.event === 32788);
  const went = near.filter((e) => (e.event === 5008 && e.one === 1) || e.event === 32789 || e.event === 7001);
  return {
    media_joined_at: least(came.map((e) => e.at)),
    media_left_at: greatest(went.map((e) => e.at)),
    media_drops: near.filter((e) => DROPS.includes(e.event)).length,
    used: near.length > 0,
  };
}
