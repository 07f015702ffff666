/** Every vendor source, by name. A new vendor is one file beside this one, and one line here. */
import type { Provider } from '../domain/vocabulary.js';
import { aliyunChannels } from './aliyun-channels.js';
import { aliyunRtc } from './aliyun-rtc.js';
import { callRecord } from './call-record.js';
import type { Delivery, Element, ReadElement, StoredEvent, Subject } from './element.js';
import type { AnyPolledSource } from './polled.js';
import { tiw } from './tiw.js';
import { tuicallkit } from './tuicallkit.js';
import { userEvent } from './user-event.js';
import type { WebhookSource } from './webhook.js';

export interface SourceOf<S extends Subject> {
  readonly name: string;
  /** What its inputs are about: which worker folds them. */
  readonly subject: S;
  /** Name of the raw topic. */
  readonly topic: string;
  readonly provider: Provider;
  /** The inputs of one delivery, each judged by itself. Pure; never throws on any bytes. */
  toInputs(raw: Delivery): Element<S>[];
  /** The `detail` of an element's `call_events` row: a JSON object. */
  describe(element: ReadElement<S>): string;
  /** A delivery that reads as the input of a stored `call_events` row does: for repairs. */
  rebuild(stored: StoredEvent): { query: string; body: Buffer };
  readonly webhook?: WebhookSource;
}

/** Closed over the subjects: a switch over `subject` knows them all. */
export type Source = { [S in Subject]: SourceOf<S> }[Subject];

export const SOURCES: readonly Source[] = [tuicallkit, tiw, callRecord, userEvent, aliyunChannels];

/** Those that ask a vendor's API. */
export const POLLED_SOURCES: readonly AnyPolledSource[] = [callRecord, userEvent, aliyunRtc];

/** As {@link sourceOf}, of the polled ones. */
export const polledSourceOf = (name: string): AnyPolledSource | undefined => POLLED_SOURCES.find((source) => source.name === name);

const byName = new Map(SOURCES.map((s) => [s.name, s]));
const callsByName = new Map(SOURCES.flatMap((s) => (s.subject === 'call' ? [[s.name, s] as const] : [])));
const recordingsByName = new Map(SOURCES.flatMap((s) => (s.subject === 'recording' ? [[s.name, s] as const] : [])));
const channelsByName = new Map(SOURCES.flatMap((s) => (s.subject === 'channel' ? [[s.name, s] as const] : [])));

/** The source of a delivery, or undefined for a name that this version does not know. */
export const sourceOf = (name: string): Source | undefined => byName.get(name);

/** As {@link sourceOf}, of the sources that tell of calls. */
export const callSourceOf = (name: string): SourceOf<'call'> | undefined => callsByName.get(name);

/** As {@link sourceOf}, of the sources that tell of recordings. */
export const recordingSourceOf = (name: string): SourceOf<'recording'> | undefined => recordingsByName.get(name);

/** As {@link sourceOf}, of the sources that tell of channels. */
export const channelSourceOf = (name: string): SourceOf<'channel'> | undefined => channelsByName.get(name);

/** The raw topics of what is told about a subject. */
export const topicsAbout = (subject: Subject): string[] => SOURCES.filter((s) => s.subject === subject).map((s) => s.topic);
