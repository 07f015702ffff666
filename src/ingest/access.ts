import { equalDigests, sha256 } from '../sources/sign/digest.js';
import type { WebhookApp, WebhookSource } from '../sources/webhook.js';
import { type Address, type AddressRange, inRanges } from './address.js';

/** An app whose callbacks are taken. */
export interface IngestApp extends WebhookApp {
  /** When there is one, only the URL that ends in it is accepted. */
  callbackSecret?: string;
  /** Absent: from anywhere. */
  allowFrom?: readonly AddressRange[];
}

/** Why a callback was refused: a label of metrics and logs. The sender is told nothing of it. */
export type Refusal = 'unknown_app' | 'secret' | 'address' | 'signature' | 'unreadable';

/** How a callback was authenticated: RawEvent.auth, the strongest of what was checked. */
export type Auth = 'signature' | 'secret' | 'address' | 'app';

export type Verdict<T> = { ok: true; value: T } | { ok: false; refusal: Refusal };

/** What is known before the body is read: the apps that it may still belong to. */
export interface Admission {
  candidates: readonly IngestApp[];
  /** The path's secret, '' without one. It is one of every candidate. */
  secret: string;
}

const NO_BODY = Buffer.alloc(0);
const refuse = (refusal: Refusal): { ok: false; refusal: Refusal } => ({ ok: false, refusal });

/** Decides who may send what: path secret, address and query first, then what stands in the body. */
export class Access {
  readonly #apps = new Map<string, IngestApp>();
  /** Secrets are compared as digests: of one length, in constant time. */
  readonly #digests = new Map<IngestApp, Buffer>();

  constructor(apps: readonly IngestApp[]) {
    for (const app of apps) {
      this.#apps.set(`${app.provider}:${app.appId}`, app);
      if (app.callbackSecret !== undefined) this.#digests.set(app, sha256(app.callbackSecret));
    }
  }

  /** @param address of the sender; null when it cannot be told, which no allow list contains */
  beforeBody(source: WebhookSource, secret: string, query: string, address: Address | null): Verdict<Admission> {
    let candidates: IngestApp[];
    if (source.appIdIn === 'query') {
      const app = this.#find(source, query, NO_BODY);
      if (app === undefined) return refuse('unknown_app');
      candidates = [app];
    } else {
      candidates = [...this.#apps.values()].filter((app) => app.provider === source.provider);
    }
    const given = secret === '' ? null : sha256(secret);
    candidates = candidates.filter((app) => this.#secretFits(app, given));
    if (candidates.length === 0) return refuse('secret');
    candidates = candidates.filter(({ allowFrom }) => allowFrom === undefined || (address !== null && inRanges(address, allowFrom)));
    if (candidates.length === 0) return refuse('address');
    return { ok: true, value: { candidates, secret } };
  }

  afterBody(
    source: WebhookSource,
    admission: Admission,
    request: { query: string; headers: Readonly<Record<string, string | string[] | undefined>>; body: Buffer },
    nowMs: number,
  ): Verdict<{ app: IngestApp; auth: Auth }> {
    const app = this.#appOf(source, admission, request);
    if (typeof app === 'string') return refuse(app);
    const signed = source.authenticate?.(request, app, nowMs) ?? null;
    if (signed === false) return refuse('signature');
    if (signed === 'unreadable' && admission.secret === '') return refuse('unreadable');
    const auth = signed === true ? 'signature' : admission.secret !== '' ? 'secret' : app.allowFrom !== undefined ? 'address' : 'app';
    return { ok: true, value: { app, auth } };
  }

  #appOf(source: WebhookSource, admission: Admission, request: { query: string; body: Buffer }): IngestApp | Refusal {
    const { candidates, secret } = admission;
    const [only] = candidates;
    if (source.appIdIn === 'query') return only ?? 'unknown_app';
    const appId = source.appIdOf(request.query, request.body);
    // A body that does not say whose it is belongs to the app that the path's secret names.
    if (appId === null) return secret !== '' && candidates.length === 1 && only !== undefined ? only : 'unreadable';
    return candidates.find((app) => app.appId === appId) ?? 'unknown_app';
  }

  #find(source: WebhookSource, query: string, body: Buffer): IngestApp | undefined {
    const appId = source.appIdOf(query, body);
    return appId === null ? undefined : this.#apps.get(`${source.provider}:${appId}`);
  }

  #secretFits(app: IngestApp, given: Buffer | null): boolean {
    const wanted = this.#digests.get(app);
    return wanted === undefined ? given === null : given !== null && equalDigests(wanted, given);
  }
}
