import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import type { Clock } from '../telemetry/clock.js';
import { AT_THE_END } from './chaos.js';
import type { Ledger } from './ledger.js';
import type { Timeline } from './timeline.js';
import type { Delivery, PushNote, WebhookName } from './wire.js';

/** The vendor's retry intervals (vendors.md §4.1). The simulator goes on with the last one: what was never acknowledged is not owed to anybody. */
const RETRY_MS = [0, 1_000, 1_000, 2_000, 3_000, 5_000];

export interface SendCounts {
  /** Requests whose final answer is known. */
  settled: number;
  acknowledged: number;
  refused: number;
  retries: number;
  /** Given up: the run ended first. */
  abandoned: number;
  /** Answers that the contract does not allow. */
  unexpected: number;
}

export interface SenderOptions {
  /** Origin of the ingest server, for example `http://127.0.0.1:8080`. */
  origin: string;
  /** Path secret by app id. */
  secrets: ReadonlyMap<string, string>;
  /** Requests under way at once. */
  concurrency: number;
  clock: Clock;
  signal: AbortSignal;
  /** Keeps the run's books; null when nobody will check them. */
  ledger: Ledger | null;
  /** A request that the vendor notes itself has had its final answer, or none: then the status is 0. Times in ms, the first of them epoch. */
  onPushed?: (delivery: Delivery & { push: PushNote }, outcome: { at: number; cost_ms: number; status: number }) => void;
}

/** What an answer of HTTP 200 must say to be taken for success (vendors.md §8). */
const SUCCESS: Readonly<Record<WebhookName, RegExp>> = {
  tuicallkit: /"ErrorCode"\s*:\s*0\b/,
  tiw: /"error_code"\s*:\s*0\b/,
  'aliyun-rtc': /^/,
};
/** v4 of TUICallKit wants to be told so in this way too (vendors.md §4.2). */
const V4_SUCCESS = /"ActionStatus"\s*:\s*"OK"/;

/** Posts callbacks as the vendors' backends do: keep-alive, an answer that says success or another try. */
export class Sender {
  readonly counts: SendCounts = { settled: 0, acknowledged: 0, refused: 0, retries: 0, abandoned: 0, unexpected: 0 };
  readonly #options: SenderOptions;
  readonly #pool: Pool;
  #underWay = 0;
  #wake: (() => void) | null = null;

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#pool = new Pool(options.origin, {
      connections: Math.min(64, options.concurrency),
      pipelining: 1,
      keepAliveTimeout: 4_000,
      headersTimeout: 30_000,
      bodyTimeout: 30_000,
    });
  }

  /** Sends everything in the order of the timelines, the first one that is due first; returns when all is answered or the signal stops it. */
  async run(timelines: readonly Timeline[]): Promise<void> {
    const { clock, signal, concurrency } = this.#options;
    while (!signal.aborted) {
      if (this.#underWay >= concurrency) {
        await this.#oneSettles();
        continue;
      }
      const due = timelines.map((t) => t.due());
      const now = clock.now();
      const ready = due.findIndex((at) => at <= now);
      if (ready >= 0) {
        this.#launch(timelines[ready]!.next()!);
        continue;
      }
      const soonest = Math.min(...due);
      if (soonest >= AT_THE_END) {
        while (this.#underWay > 0) await this.#oneSettles();
        const held = due.indexOf(AT_THE_END);
        if (held < 0) break;
        for (let next = timelines[held]!.next(); next !== null && !signal.aborted; next = timelines[held]!.next()) {
          this.#launch(next);
          if (this.#underWay >= concurrency) await this.#oneSettles();
        }
        continue;
      }
      await sleep(Math.min(soonest - now, 1_000), undefined, { signal }).catch(() => {});
    }
    while (this.#underWay > 0) await this.#oneSettles();
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  #oneSettles(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #launch(delivery: Delivery): void {
    this.#underWay++;
    void this.#deliver(delivery).finally(() => {
      this.#underWay--;
      this.#wake?.();
      this.#wake = null;
    });
  }

  async #deliver(delivery: Delivery): Promise<void> {
    const { push } = delivery;
    const at = this.#options.clock.now();
    const status = delivery.lost ? 0 : await this.#untilFinal(delivery);
    if (push !== undefined) this.#options.onPushed?.({ ...delivery, push }, { at, cost_ms: this.#options.clock.now() - at, status });
  }

  /** The status of the final answer; 0: given up. */
  async #untilFinal(delivery: Delivery): Promise<number> {
    const { signal, ledger } = this.#options;
    for (let attempt = 0; ; attempt++) {
      const entry = ledger?.attempted(delivery);
      const status = await this.#post(delivery);
      if (status === 200) {
        this.counts.acknowledged++;
        if (entry) entry.acknowledged++;
      }
      const final = status === 200 || (status >= 400 && status < 500 && status !== 408 && status !== 429);
      if (final) {
        this.counts.settled++;
        if (status === 403) this.counts.refused++;
        if (status !== delivery.expect) {
          this.counts.unexpected++;
          if (entry) ledger?.unexpected.push({ excerpt: entry.excerpt, expected: delivery.expect, status });
        }
        return status;
      }
      await sleep(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)], undefined, { signal }).catch(() => {});
      if (signal.aborted) {
        this.counts.abandoned++;
        return 0;
      }
      this.counts.retries++;
    }
  }

  /** HTTP status, or 0 when there was no answer or not the one that means success. */
  async #post(delivery: Delivery): Promise<number> {
    const secret = this.#options.secrets.get(delivery.app_id);
    const query = delivery.query === '' ? '' : `?${delivery.query}`;
    const path = `/callbacks/${delivery.source}${secret === undefined ? '' : `/${encodeURIComponent(secret)}`}${query}`;
    try {
      const { statusCode, body } = await this.#pool.request({
        method: 'POST',
        path,
        headers: { 'content-type': 'application/json' },
        body: delivery.body,
      });
      const text = await body.text();
      const success =
        SUCCESS[delivery.source].test(text) && (delivery.source !== 'tuicallkit' || V4_SUCCESS.test(text) === (delivery.v4 === true));
      return statusCode === 200 && !success ? 0 : statusCode;
    } catch {
      return 0;
    }
  }
}
