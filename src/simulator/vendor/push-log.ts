import { getOrMake } from '../maps.js';
import type { OwedEvent } from './book.js';
import { insert, lowerBound } from './sorted.js';

/** One push as it went. Times are epoch ms. */
export interface LoggedPush {
  app_id: string;
  subscribe_id: string;
  channel_id: string;
  message_id: string;
  /** The pushed body. */
  text: string;
  /** The vendor's log escapes it once or, as in its own example, twice. */
  escapedTwice: boolean;
  /** When the push was made. */
  at: number;
  cost_ms: number;
  url: string;
  /** HTTP status of the answer, as the vendor has it. */
  code: number;
}

interface Entry {
  push: LoggedPush;
  served_from: number;
  text: string;
}

/** The log is kept so long (aliyun-list-event-sub-event.txt). */
export const LOG_KEPT_MS = 7 * 86_400_000;
const CHINA_OFFSET_MS = 8 * 3_600_000;
const pushedAt = (entry: Entry): number => entry.push.at;

/** The log of event pushes that ListEventSubEvent shows, by app. */
export class PushLog {
  readonly #apps = new Map<string, Entry[]>();
  readonly #capacity: number;

  /** @param capacity entries kept of each app: the oldest are forgotten first */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** @param now when the entry is written, epoch ms */
  add(push: LoggedPush, now: number): void {
    const entries = getOrMake(this.#apps, push.app_id, () => []);
    insert(entries, pushedAt, { push, served_from: now, text: textOf(push) });
    if (entries.length > this.#capacity) entries.splice(0, Math.ceil(this.#capacity / 10));
  }

  /** One page of the entries of pushes made in [from, to), epoch ms, of one subscription or, null, of any, in order of time; pages from 1. */
  page(
    app_id: string,
    range: { subscribeId: string | null; from: number; to: number },
    page: { number: number; size: number },
    now: number,
  ): { texts: string[]; more: boolean } {
    const entries = this.#apps.get(app_id) ?? [];
    const texts: string[] = [];
    let toSkip = (page.number - 1) * page.size;
    for (let i = lowerBound(entries, pushedAt, Math.max(range.from, now - LOG_KEPT_MS)); i < entries.length; i++) {
      const { push, text } = entries[i]!;
      if (push.at >= range.to) break;
      if (range.subscribeId !== null && push.subscribe_id !== range.subscribeId) continue;
      if (toSkip > 0) {
        toSkip--;
        continue;
      }
      if (texts.length === page.size) return { texts, more: true };
      texts.push(text);
    }
    return { texts, more: false };
  }

  *owed(now: number): Iterable<OwedEvent> {
    for (const [app_id, entries] of this.#apps) {
      const messages = new Map<string, OwedEvent>();
      for (const { push, served_from } of entries) {
        if (served_from > now) continue;
        const { channel_id, message_id, at } = push;
        const lost = push.code !== 200;
        const other = messages.get(message_id);
        if (other === undefined) messages.set(message_id, { app_id, channel_id, message_id, lost, at, served_from });
        else if (!lost) other.lost = false;
      }
      yield* messages.values();
    }
  }
}

/** An entry as the API shows it (vendors.md §7.1): Time is UTC+8 without saying so, SubId another id than the one in Data. */
function textOf({ app_id, subscribe_id, message_id, text, escapedTwice, at, cost_ms, url, code }: LoggedPush): string {
  return JSON.stringify({
    AppId: app_id,
    SubId: subscribe_id,
    MessageId: message_id,
    Data: escapedTwice ? JSON.stringify(text).slice(1, -1) : text,
    Cost: cost_ms,
    Time: new Date(at + CHINA_OFFSET_MS).toISOString().slice(0, 23).replace('T', ' '),
    Url: url,
    Code: code,
  });
}
