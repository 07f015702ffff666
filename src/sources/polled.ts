/**
 * Polled sources: vendor APIs as two pure halves, what to ask and what the answer means, driven by a role that owns the clock, chance and the network.
 *
 *   plan ──request──> PollRequest ~~ network ~~> readResponse ──> elements (to the raw topic) and the next plan, or why not
 *
 * An element is the exact source text of one record, poll or log entry, never the envelope around it. What the element itself does not say travels in
 * its query. Nothing here throws on any response, and no message holds a secret.
 */
import { joinKey } from '../domain/key.js';
import type { CallKey } from '../domain/types.js';
import type { Provider } from '../domain/vocabulary.js';
import type { AliyunCredentials } from './aliyun-rtc.js';
import type { CallRecordCredentials } from './call-record.js';
import type { Generation } from './call-record-api.js';
import { recordKey } from './element.js';
import { sha256Hex } from './sign/digest.js';
import type { CloudApiCredentials } from './user-event.js';

export interface PollRequest {
  method: 'POST';
  /** May hold a credential (UserSig): never log it. */
  url: string;
  /** Names in lower case. What is signed must be sent as it is here. */
  headers: Record<string, string>;
  /** '' for none. */
  body: string;
}

/** One input of a page, as it goes to the raw topic. */
export interface PolledElement {
  /** Of the Kafka record: the join key, or a digest of what cannot be read. */
  key: string;
  /** RawEvent.query: what the text does not say, URL-encoded; '' for nothing. */
  query: string;
  /** RawEvent.body: the exact source text. */
  body: string;
}

/**
 * Why there is no page.
 *
 *   not_yet    the vendor has nothing yet: begin again with the first plan of the task later, a bounded number of times
 *   retry      transient, or not understood: try again with backoff
 *   slow_down  asked too often: pause this API of this app
 *   renew      the credential has expired: ask again at once, once; request() makes a fresh one. If it recurs, a clock is wrong
 *   refused    this plan can never succeed; others of the app can
 *   stop       the app's configuration, permission or plan is at fault: nothing will succeed until a human acts
 */
export type PollFailureKind = 'not_yet' | 'retry' | 'slow_down' | 'renew' | 'refused' | 'stop';

export interface PollFailure {
  kind: PollFailureKind;
  /** The vendor's error code, `http_<status>`, or one of `absent`, `malformed`, `too_many_pages`, `unknown`. */
  code: string;
  /** For people: what is wrong and what to do. */
  message: string;
  /** What the vendor asks to wait for, in milliseconds. */
  retryAfterMs?: number;
}

export type PollAnswer<Plan> = { kind: 'page'; elements: PolledElement[]; next: Plan | null } | PollFailure;

/** What the vendor allows. */
export interface PollLimits {
  /** Requests per second and app, by the operation that {@link PolledSource.operationOf} names. */
  readonly perSecond: Readonly<Record<string, number>>;
  /** How far back the vendor answers, in milliseconds. */
  readonly lookBackMs: number;
  /** Longest time range of one request, in milliseconds. */
  readonly windowMs: number;
  /** Ranges begin and end at multiples of this, in milliseconds. */
  readonly granularityMs: number;
}

export type ResponseHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** What a source may see of an app: who it is, and the sections of its configuration that hold an API's address and keys. */
export interface PolledApp {
  readonly provider: Provider;
  readonly appId: string;
  /** `generation` absent: as the endpoint tells. */
  readonly records?: CallRecordCredentials & { readonly generation?: Generation | undefined };
  readonly cloudApi?: CloudApiCredentials;
  readonly api?: AliyunCredentials & { readonly subscribeIds: readonly string[] };
}

/** What a task says of the call to be asked about: PollTask of schemas/avro/poll-task.avsc. Times in epoch milliseconds, null: not known. */
export interface TaskSubject {
  readonly call_id: string;
  readonly room_id: string;
  /** One user, or '': all of `users`. */
  readonly user_id: string;
  readonly users: readonly string[];
  readonly started_at: number | null;
  readonly ended_at: number | null;
}

/** How a source is asked for everything of a time range. */
export interface Sweeping<Plan> {
  /**
   * Ranges select by the start of what an element tells of, which is there only after the end: what took long appears behind a sweep that trails now, so a
   * deep one must follow.
   */
  readonly byStart: boolean;
  /** What is swept by itself, each with a cursor of its own: subscriptions; [''] where it is the app as a whole. */
  scopesOf(app: PolledApp): readonly string[];
  /** The first plan of a range that {@link windowsOf} gave. `longestMs`: how long what an element tells of may take. */
  first(app: PolledApp, scope: string, range: TimeRange, now: number, longestMs: number): Plan;
}

/** How a source is asked about one call. */
export interface Tasking<Plan> {
  /** PollTask.kind. */
  readonly kind: string;
  /** The first plan of a task; null when there is nothing that could be asked. `now`: epoch milliseconds. */
  first(app: PolledApp, task: TaskSubject, now: number): Plan | null;
}

/** A plan goes only to the source that made it: whoever drives several sources sees {@link AnyPolledSource}. */
export interface PolledSource<Plan, Credentials> {
  /** RawEvent.source. */
  readonly name: string;
  /** Name of the raw topic. */
  readonly topic: string;
  readonly provider: Provider;
  readonly limits: PollLimits;
  /** Name of the section of an app's configuration that the credentials come from. */
  readonly section: 'records' | 'cloudApi' | 'api';
  /** null: the configuration has none for this app, which is not polled then. */
  credentialsOf(app: PolledApp): Credentials | null;
  /** null: the vendor has no such question. */
  readonly sweeping: Sweeping<Plan> | null;
  readonly tasking: Tasking<Plan> | null;
  operationOf(plan: Plan): string;
  /**
   * The request of a plan. `now`: epoch milliseconds. `nonce`: at least 8 random hexadecimal digits, new for each request.
   * @throws CallstreamError POLL_APP_ID where the API wants a numeric app id and the configured one is none
   */
  request(plan: Plan, credentials: Credentials, now: number, nonce: string): PollRequest;
  /** What a response to the plan means. Header names in lower case. Never throws. */
  readResponse(status: number, headers: ResponseHeaders, body: Buffer, plan: Plan): PollAnswer<Plan>;
}

export type AnyPolledSource = PolledSource<unknown, unknown>;

/** A half-open time range, epoch milliseconds. */
export interface TimeRange {
  from: number;
  to: number;
}

/** The vendor's clock may be ahead of ours by this much, and its look-back with it. */
const LOOK_BACK_MARGIN_MS = 60_000;

/** The oldest moment that may be asked for, epoch milliseconds: a little less far back than the vendor says, and on its granularity. */
export const oldestAt = (now: number, limits: PollLimits): number =>
  Math.ceil((now - limits.lookBackMs + LOOK_BACK_MARGIN_MS) / limits.granularityMs) * limits.granularityMs;

/**
 * A time range as the vendor takes it: cut to its look-back and to now, ends rounded down to its granularity, in pieces of at most its longest window.
 * `lost`: the part that is too old to be had, or null. What rounding leaves off at the end belongs to the next sweep.
 */
export function windowsOf(range: TimeRange, now: number, limits: PollLimits): { windows: TimeRange[]; lost: TimeRange | null } {
  const { granularityMs: step, windowMs } = limits;
  const oldest = oldestAt(now, limits);
  const lost = range.from < oldest && range.from < range.to ? { from: range.from, to: Math.min(range.to, oldest) } : null;
  const end = Math.floor(Math.min(range.to, now) / step) * step;
  const windows: TimeRange[] = [];
  for (let from = Math.max(Math.floor(range.from / step) * step, oldest); from < end; from += windowMs)
    windows.push({ from, to: Math.min(from + windowMs, end) });
  return { windows, lost };
}

/** The element of a call. */
export const elementOf = (key: CallKey, query: string, body: string): PolledElement => ({ key: recordKey(joinKey(key)), query, body });

/** An element whose call cannot be read: kept all the same, to become a dead letter. */
export const strayElement = (query: string, body: string): PolledElement => ({
  key: sha256Hex(body),
  query,
  body,
});

/** Context of an element as a query string. Ids may hold anything. */
export const contextQuery = (context: Readonly<Record<string, string>>): string =>
  Object.entries(context)
    .map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`)
    .join('&');
