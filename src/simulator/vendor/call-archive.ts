import { getOrMake } from '../maps.js';
import { seconds } from '../wire.js';
import type { OwedRecord } from './book.js';
import type { CallFacts } from './facts.js';
import { recordText } from './record-text.js';
import { insert, lowerBound } from './sorted.js';

/** The record API has a call so long after its end (vendors.md §4.2), and its correction a minute later. */
const RECORD_AFTER_MS = 5_000;
const CORRECTED_AFTER_MS = 60_000;
/** Pages of one question come out of one look, taken anew when it is so old. */
const LOOK_MS = 5_000;
/** Records are kept so long (trtc-call-rest-api.txt). */
export const RECORDS_KEPT_MS = 7 * 86_400_000;

interface Entry {
  facts: CallFacts;
  served_from: number;
}

interface AppCalls {
  byId: Map<string, Entry>;
  byStart: Entry[];
  look: { question: string; at: number; found: Entry[] } | null;
}

/** What is asked of the calls of an app. Bounds in seconds, both included. */
export interface CallFilter {
  from: number;
  to: number;
  /** v1's words. */
  result?: string | undefined;
  type?: string | undefined;
}

const startOf = (entry: Entry): number => entry.facts.start_at;

/** The calls that the vendor's record API knows, by app. */
export class CallArchive {
  readonly #apps = new Map<string, AppCalls>();
  readonly #capacity: number;

  /** @param capacity calls kept of each app: the oldest are forgotten first */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** @param now when the vendor comes to know of it by the wall clock, epoch ms: a call of the past is served at once */
  add(facts: CallFacts, now: number): void {
    const app = this.#of(facts.app_id);
    const entry = { facts, served_from: Math.max(now, facts.end_at + RECORD_AFTER_MS) };
    app.byId.set(facts.call_id, entry);
    insert(app.byStart, startOf, entry);
    if (app.byStart.length <= this.#capacity) return;
    for (const { facts: old } of app.byStart.splice(0, Math.ceil(this.#capacity / 10))) app.byId.delete(old.call_id);
  }

  facts(app_id: string, call_id: string): CallFacts | undefined {
    return this.#apps.get(app_id)?.byId.get(call_id)?.facts;
  }

  /** The record as it is served at `now`; null: there is none yet, or no more. */
  record(app_id: string, call_id: string, generation: 'v1' | 'v4', now: number): string | null {
    const entry = this.#apps.get(app_id)?.byId.get(call_id);
    return entry === undefined || !isOut(entry, now) ? null : textOf(entry, generation, now);
  }

  /** One page of the records that a filter finds at `now`, in the order of their starts; pages from 1. */
  page(
    app_id: string,
    filter: CallFilter,
    page: { number: number; size: number },
    generation: 'v1' | 'v4',
    now: number,
  ): { total: number; texts: string[] } {
    const found = this.#look(app_id, filter, page.number === 1, now);
    const first = (page.number - 1) * page.size;
    return { total: found.length, texts: found.slice(first, first + page.size).map((entry) => textOf(entry, generation, now)) };
  }

  *owed(now: number): Iterable<OwedRecord> {
    for (const [app_id, { byStart }] of this.#apps) {
      for (const { facts, served_from } of byStart) {
        if (served_from > now) continue;
        yield { app_id, call_id: facts.call_id, lost: facts.lost, start_at: seconds(facts.start_at) * 1_000, served_from };
      }
    }
  }

  #look(app_id: string, filter: CallFilter, anew: boolean, now: number): Entry[] {
    const app = this.#of(app_id);
    const question = JSON.stringify(filter);
    if (app.look !== null && app.look.question === question && !anew && now - app.look.at < LOOK_MS) return app.look.found;
    const found: Entry[] = [];
    const { byStart } = app;
    const oldest = Math.max(filter.from * 1_000, now - RECORDS_KEPT_MS);
    for (let i = lowerBound(byStart, startOf, oldest); i < byStart.length; i++) {
      const entry = byStart[i]!;
      if (seconds(entry.facts.start_at) > filter.to) break;
      if (isOut(entry, now) && fits(entry.facts, filter)) found.push(entry);
    }
    app.look = { question, at: now, found };
    return found;
  }

  #of(app_id: string): AppCalls {
    return getOrMake(this.#apps, app_id, () => ({ byId: new Map(), byStart: [], look: null }));
  }
}

const isOut = ({ facts, served_from }: Entry, now: number): boolean => served_from <= now && facts.start_at > now - RECORDS_KEPT_MS;

const fits = (facts: CallFacts, { result, type }: CallFilter): boolean =>
  (result === undefined || facts.result === result) && (type === undefined || facts.call_type === type);

const textOf = (entry: Entry, generation: 'v1' | 'v4', now: number): string =>
  recordText(entry.facts, generation, now < entry.served_from + CORRECTED_AFTER_MS);
