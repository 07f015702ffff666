import { request } from 'undici';
import { freePort } from '../../src/local/index.js';
import type { ChaosLevel } from '../../src/simulator/chaos.js';
import type { CallApp, ChannelApp } from '../../src/simulator/vendor/app.js';
import type { CallFacts } from '../../src/simulator/vendor/facts.js';
import { Vendor } from '../../src/simulator/vendor/vendor.js';
import type { PollAnswer, PolledSource } from '../../src/sources/polled.js';

export const VENDOR_NOW = Date.UTC(2026, 10, 26, 9, 0, 0, 500);
export const APP_ID = '1400000001';
export const CHANNEL_APP_ID = 'rtc-demo';
export const KEYS = {
  identifier: 'administrator',
  recordsKey: 'records-key-of-nobody',
  secretId: 'secret-id-of-nobody',
  secretKey: 'secret-key-of-nobody',
  accessKeyId: 'access-key-of-nobody',
  accessKeySecret: 'access-secret-of-nobody',
  subscribeIds: ['sub-1', 'sub-2'],
} as const;

/** A vendor on a free port of this machine, whose clock the test moves, and the product's own clients to ask it. */
export class TestVendor {
  now = VENDOR_NOW;
  #nonce = 0;

  private constructor(
    readonly vendor: Vendor,
    readonly endpoint: string,
    private readonly clock: { now: () => number },
  ) {
    this.clock.now = () => this.now;
  }

  static async open(options: { generation?: 'v1' | 'v4'; chaos?: ChaosLevel; seed?: string } = {}): Promise<TestVendor> {
    const endpoint = `http://127.0.0.1:${await freePort()}`;
    const clock = { now: () => VENDOR_NOW };
    const app: CallApp = {
      app_id: APP_ID,
      records: { endpoint, generation: options.generation ?? 'v1', identifier: KEYS.identifier, secretKey: KEYS.recordsKey },
      cloudApi: { endpoint, secretId: KEYS.secretId, secretKey: KEYS.secretKey },
    };
    const { subscribeIds, accessKeyId, accessKeySecret } = KEYS;
    const channelApp: ChannelApp = { app_id: CHANNEL_APP_ID, api: { endpoint, subscribeIds, accessKeyId, accessKeySecret } };
    const { chaos = 'none', seed = '1' } = options;
    const vendor = await Vendor.open({ apps: [app], channelApps: [channelApp], seed, chaos, clock, audited: true });
    if (vendor === null) throw new Error('no endpoint is served');
    return new TestVendor(vendor, endpoint, clock);
  }

  /** One request of a polled source, as it is sent and read. */
  async ask<Plan, Credentials>(
    source: PolledSource<Plan, Credentials>,
    plan: Plan,
    credentials: Credentials,
    options: { at?: number; nonce?: string; change?: (request: ReturnType<typeof source.request>) => void } = {},
  ): Promise<PollAnswer<Plan>> {
    const nonce = options.nonce ?? (++this.#nonce).toString(16).padStart(16, '0');
    const asked = source.request(plan, credentials, options.at ?? this.now, nonce);
    options.change?.(asked);
    const { method, url, headers, body } = asked;
    const response = await request(url, { method, headers, body });
    return source.readResponse(response.statusCode, response.headers, Buffer.from(await response.body.arrayBuffer()), plan);
  }

  /** All elements of a plan and those that follow it. */
  async all<Plan, Credentials>(source: PolledSource<Plan, Credentials>, first: Plan, credentials: Credentials) {
    const elements: { key: string; query: string; body: string }[] = [];
    let pages = 0;
    for (let plan: Plan | null = first; plan !== null; pages++) {
      const answer: PollAnswer<Plan> = await this.ask(source, plan, credentials);
      if (answer.kind !== 'page') throw new Error(`${answer.kind}: ${answer.message}`);
      elements.push(...answer.elements);
      plan = answer.next;
    }
    return { elements, pages };
  }
}

const ENDED = VENDOR_NOW - 60_000;

/** An answered call of two that ended a minute ago. */
export const callFacts = (changes: Partial<CallFacts> = {}): CallFacts => ({
  app_id: APP_ID,
  call_id: 'call-1',
  room_id: '4711',
  media_type: 'video',
  call_type: 'single',
  caller: 'alice',
  users: ['alice', 'bob'],
  start_at: ENDED - 100_000,
  accept_at: ENDED - 90_000,
  end_at: ENDED,
  result: 'normal_end',
  presences: [
    { user: 'alice', web: false, from: ENDED - 99_000, to: ENDED, cut: false },
    { user: 'bob', web: true, from: ENDED - 89_000, to: ENDED - 500, cut: false },
  ],
  lost: false,
  misjudged_ms: 0,
  total: 2,
  ...changes,
});
