import { createHash, timingSafeEqual } from 'node:crypto';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { createGate } from '../../src/api/access.js';
import { Access, type IngestApp } from '../../src/ingest/access.js';
import { userSig, verifyUserSig } from '../../src/sources/sign/usersig.js';
import { tiw } from '../../src/sources/tiw.js';
import { tuicallkit } from '../../src/sources/tuicallkit.js';

vi.mock('node:crypto', async (original) => ({ ...(await original<object>()), timingSafeEqual: vi.fn() }));

/*
 * That a comparison takes constant time cannot be seen from outside. What can: every verdict about a secret is that of timingSafeEqual, over two
 * SHA-256 digests, and nothing else has a say in it.
 */
const compare = vi.mocked(timingSafeEqual);
beforeEach(() => {
  compare.mockReset();
});

const digestOf = (text: string): string => createHash('sha256').update(text).digest('hex');
const compared = (): string[][] =>
  compare.mock.calls.map((sides) => sides.map((side) => Buffer.from(side as Uint8Array).toString('hex')).sort());

/** Whether it is let in, by what the comparison says. */
function expectItsVerdict(judge: (secret: string) => boolean, secret: string): void {
  for (const given of [secret, secret.slice(1), `${secret}x`, secret.replace(/.$/, '!')]) {
    for (const equal of [true, false]) {
      compare.mockReset().mockReturnValue(equal);
      expect(judge(given)).toBe(equal);
      expect(compared()).toEqual([[digestOf(secret), digestOf(given)].sort()]);
    }
  }
}

describe('what decides about', () => {
  it('the path secret of a callback is a comparison of digests in constant time', () => {
    const app: IngestApp = { provider: 'tencent', appId: '1400000001', callbackSecret: 's3cret-of-the-path' };
    const access = new Access([app]);
    expectItsVerdict((secret) => access.beforeBody(tuicallkit.webhook!, secret, 'SdkAppid=1400000001', null).ok, 's3cret-of-the-path');
  });

  it('the Sign of a whiteboard callback is a comparison of digests in constant time', () => {
    const app = { provider: 'tencent', appId: '1400000001', tiwCallbackKey: 'key' } as const;
    const nowMs = 1_700_000_000_000;
    const expires = String(nowMs / 1000 + 60);
    const good = createHash('md5').update(`key${expires}`).digest('hex');
    const judge = (Sign: string): boolean => {
      const body = Buffer.from(JSON.stringify({ SdkAppId: 1400000001, ExpireTime: Number(expires), Sign }));
      return tiw.webhook!.authenticate!({ query: '', headers: {}, body }, app, nowMs) === true;
    };
    expectItsVerdict(judge, good);
  });

  it('the token of the query API is a comparison of digests in constant time', () => {
    const gate = createGate('0.0.0.0', digestOf('the-token'));
    const judge = (token: string): boolean => {
      try {
        gate({ authorization: `Bearer ${token}` });
        return true;
      } catch {
        return false;
      }
    };
    expectItsVerdict(judge, 'the-token');
  });

  it('a UserSig is a comparison of digests in constant time', () => {
    const claims = { identifier: 'a', sdkAppId: 1, issuedAt: 1_700_000_000, ttl: 60 };
    const text = userSig(claims, 'key');
    for (const equal of [true, false]) {
      compare.mockReset().mockReturnValue(equal);
      expect(verifyUserSig(text, 'key', claims.issuedAt).ok).toBe(equal);
      expect(
        compared()
          .flat()
          .every((side) => side.length === 64),
      ).toBe(true);
      expect(compare).toHaveBeenCalledTimes(1);
    }
  });
});
