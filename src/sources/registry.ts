/** Every vendor source, by name. A new vendor is one file beside this one, and one line here. */
import type { Provider } from '../domain/vocabulary.js';
import type { Delivery, Element, ReadElement, StoredEvent } from './element.js';
import { tuicallkit } from './tuicallkit.js';
import type { WebhookSource } from './webhook.js';

export interface Source {
  readonly name: string;
  /** Name of the raw topic. */
  readonly topic: string;
  readonly provider: Provider;
  /** The inputs of one delivery, each judged by itself. Pure; never throws on any bytes. */
  toInputs(raw: Delivery): Element[];
  /** The `detail` of an element's `call_events` row: a JSON object. */
  describe(element: ReadElement): string;
  /** A delivery that reads as the input of a stored `call_events` row does: for repairs. */
  rebuild(stored: StoredEvent): { query: string; body: Buffer };
  readonly webhook?: WebhookSource;
}

export const SOURCES: readonly Source[] = [tuicallkit];

const byName = new Map(SOURCES.map((s) => [s.name, s]));

/** The source of a delivery, or undefined for a name that this version does not know. */
export const sourceOf = (name: string): Source | undefined => byName.get(name);
