import { setTimeout as delay } from 'node:timers/promises';
import type { Webhook } from '../../config/index.js';
import { JitteredBackoff } from '../../stream/jittered-backoff.js';
import type { Chance } from '../../telemetry/chance.js';
import type { Clock } from '../../telemetry/clock.js';
import type { Logger } from '../../telemetry/log.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { Message } from './messages.js';
import { CONNECTIONS, type SendResult } from './sender.js';

export interface DeliveryOptions {
  webhook: Webhook;
  send(message: Message, signal: AbortSignal): Promise<SendResult>;
  clock: Clock;
  chance: Chance;
  logger: Logger;
  metrics: Metrics;
  /** First and longest pause between two tries, ms; and for how long there are any. */
  retry?: Retry;
}

export interface Retry {
  first: number;
  longest: number;
  giveUpAfter: number;
}

const RETRY: Retry = { first: 5_000, longest: 3_600_000, giveUpAfter: 86_400_000 };

/** Why a message was not delivered, and will not be. */
export interface Undelivered {
  reason: 'webhook_expired' | 'webhook_gone';
  error: string;
}

/** Tells one receiver of messages: a few at a time, each again and again until it is taken or too old. */
export class Delivery {
  readonly #o: DeliveryOptions;
  readonly #retry: Retry;
  readonly #queue: (() => void)[] = [];
  #free = CONNECTIONS;

  constructor(options: DeliveryOptions) {
    this.#o = options;
    this.#retry = options.retry ?? RETRY;
  }

  /**
   * null: the receiver has taken it. Every message is tried once, however old; a failure that comes a day after it was published is the last.
   * @param publishedAt epoch ms
   * @throws the signal's reason
   */
  async deliver(message: Message, publishedAt: number, signal: AbortSignal): Promise<Undelivered | null> {
    const { webhook, clock, chance, logger } = this.#o;
    const pauses = new JitteredBackoff(this.#retry.first, this.#retry.longest, chance);
    for (let attempt = 1; ; attempt += 1) {
      const result = await this.#send(message, signal);
      if (result.kind === 'delivered') {
        this.#count('delivered');
        return null;
      }
      const said = { webhook: webhook.name, message: message.id, type: message.type, attempt, why: result.why };
      if (result.kind === 'gone') {
        this.#count('gone');
        logger.error(said, 'a webhook was not delivered');
        return { reason: 'webhook_gone', error: `${webhook.name}, ${message.type}: ${result.why}` };
      }
      if (clock.now() - publishedAt >= this.#retry.giveUpAfter) {
        this.#count('expired');
        logger.error(said, 'a webhook was not delivered');
        return { reason: 'webhook_expired', error: `${webhook.name}, ${message.type}: ${result.why}; given up` };
      }
      this.#count('failed');
      logger.warn(said, 'a webhook is sent again later');
      await delay(Math.max(result.retryAfter ?? 0, pauses.next()), undefined, { signal });
    }
  }

  async #send(message: Message, signal: AbortSignal): Promise<SendResult> {
    await this.#place();
    try {
      signal.throwIfAborted();
      return await this.#o.send(message, signal);
    } finally {
      const next = this.#queue.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  /** Waits for one of the few places. Those that wait are woken in turn; one that is not wanted any more passes its place on. */
  async #place(): Promise<void> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#queue.push(resolve));
  }

  #count(result: 'delivered' | 'failed' | 'gone' | 'expired'): void {
    this.#o.metrics.callstream_webhook_requests_total.inc({ webhook: this.#o.webhook.name, result });
  }
}
