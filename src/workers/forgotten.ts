import type { PollCursor } from '../codec/generated.js';
import { CallstreamError } from '../domain/errors.js';
import type { Pseudonyms } from '../sources/pseudonym.js';
import type { Clock } from '../telemetry/clock.js';
import type { ForgottenUsers } from './users.js';

/**
 * The list of forgotten users stands on `callstream.poll-cursors`, the one topic that is compacted and kept for ever: how far `forget-user` has come with a user, as
 * the cursors of a sweep say how far it has come. `scope` is the pseudonym, `sweep` names the key by its fingerprint, `swept_to` is when the user was first
 * put there. A list in ClickHouse would be one
 * more thing that folding waits for, and gone with the database.
 */
export const FORGET_SOURCE = 'forget-user';

/** The user's entry on the list. */
export const forgottenCursor = (pseudonyms: Pseudonyms, app_id: string, userId: string, now: number): PollCursor => ({
  source: FORGET_SOURCE,
  app_id,
  sweep: `key:${pseudonyms.fingerprint}`,
  scope: pseudonyms.of(app_id, userId),
  swept_to: now,
  updated_at: now,
});

/** Key of its record. */
export const forgottenKey = ({ source, app_id, sweep, scope }: PollCursor): string => `${source}:${app_id}:${sweep}:${scope}`;

/** What a worker knows of the list is at most so old when it prepares a batch, in milliseconds. */
const MAX_AGE_MS = 2_000;
/** Longer than a transaction may take whose batch was prepared before. */
const LONGEST_TRANSACTION_MS = 18_000;
/** So long after a user is on the list, every worker folds with it, in milliseconds. */
export const KNOWN_EVERYWHERE_MS = MAX_AGE_MS + LONGEST_TRANSACTION_MS;

/** The list as one process knows it. */
export class ForgottenList implements ForgottenUsers {
  readonly #key: string;
  readonly #read: () => Promise<readonly PollCursor[]>;
  readonly #clock: Clock;
  readonly #users = new Set<string>();
  /** By app. */
  readonly #listedAt = new Map<string, number>();
  #readAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | null = null;

  /**
   * @param pseudonyms null: there is no key, so the list must be empty
   * @param read what has come to the topic since the last time that it succeeded, at least
   */
  constructor(pseudonyms: Pseudonyms | null, read: () => Promise<readonly PollCursor[]>, clock: Clock) {
    this.#key = `key:${pseudonyms?.fingerprint ?? ''}`;
    this.#read = read;
    this.#clock = clock;
  }

  get size(): number {
    return this.#users.size;
  }

  has(appId: string, pseudonym: string): boolean {
    return this.#users.has(`${appId}:${pseudonym}`);
  }

  /** When a user of the app, or of any, was last put on the list, epoch ms; -Infinity: never. */
  lastListed(appId: string | null): number {
    return appId === null
      ? Math.max(Number.NEGATIVE_INFINITY, ...this.#listedAt.values())
      : (this.#listedAt.get(appId) ?? Number.NEGATIVE_INFINITY);
  }

  /** @throws CallstreamError PRIVACY_KEY_CHANGED: someone was forgotten under another key than this one; Kafka's and the registry's errors */
  async ready(): Promise<void> {
    const age = this.#clock.now() - this.#readAt;
    // A clock that was set back tells nothing.
    if (age >= 0 && age < MAX_AGE_MS) return;
    this.#reading ??= this.#readOn().finally(() => {
      this.#reading = null;
    });
    await this.#reading;
  }

  async #readOn(): Promise<void> {
    const began = this.#clock.now();
    for (const { source, app_id, sweep, scope, swept_to } of await this.#read()) {
      if (source !== FORGET_SOURCE) continue;
      if (sweep !== this.#key) throw keyChanged();
      this.#users.add(`${app_id}:${scope}`);
      this.#listedAt.set(app_id, Math.max(this.lastListed(app_id), swept_to));
    }
    this.#readAt = began;
  }
}

const keyChanged = (): CallstreamError =>
  new CallstreamError(
    'PRIVACY_KEY_CHANGED',
    'Users were forgotten under another privacy.key than that of the configuration, and would come back without it. Set privacy.key to what it was.',
  );
