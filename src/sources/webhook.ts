import type { Provider } from '../domain/vocabulary.js';

/** What a source may see of an app: who it is, and the vendor keys that its callbacks are signed with. */
export interface WebhookApp {
  readonly provider: Provider;
  readonly appId: string;
  /** Key of TIW callbacks. Absent: the vendor does not sign them. */
  readonly tiwCallbackKey?: string;
}

/** One callback request, its path aside. */
export interface WebhookRequest {
  /** As received, without the question mark. */
  readonly query: string;
  /** Names are lower-case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The untouched bytes; empty when there is no body. */
  readonly body: Buffer;
}

/** One kind of vendor callback, pure over bytes. No method throws on odd input: anyone can post garbage. */
export interface WebhookSource {
  /** Path part and RawEvent.source, for example `tuicallkit`. */
  readonly name: string;
  readonly provider: Provider;
  /** Name of the raw topic (src/codec/topics.ts). */
  readonly topic: string;
  /** Where the vendor says which app a callback belongs to. `query` is checked before the body is read. */
  readonly appIdIn: 'query' | 'body';
  /** App id from the part named by {@link appIdIn} (the body is empty when that is the query); null when it cannot be read. Depth-limited where it parses. */
  appIdOf(query: string, body: Buffer): string | null;
  /**
   * The vendor's signature: true when good, false when bad or expired, null when the app has no key and so nothing is signed, 'unreadable' when the body
   * names neither an app nor a signature: then only a path secret can vouch for it (contract §3). Absent: the vendor does not sign at all.
   */
  authenticate?(request: WebhookRequest, app: WebhookApp, nowMs: number): boolean | null | 'unreadable';
  /** Record key: the join key, for example `tencent:<app>:<CallId>`; a hash of the body when it cannot be read. */
  keyOf(appId: string, query: string, body: Buffer): string;
  /** Body of the 200 answer that the vendor takes for success (JSON). */
  successBody(query: string, body: Buffer): string;
}
