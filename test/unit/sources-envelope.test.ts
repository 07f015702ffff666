import fc from 'fast-check';
import { expect, it } from 'vitest';
import { envelopeOf } from '../../src/sources/envelope.js';
import { idOf, parseObject } from '../../src/sources/json.js';
import { tiw } from '../../src/sources/tiw.js';

const NAMES = ['SdkAppId', 'Sign'];

it('reads of any object what a parse of all of it reads', () => {
  const value = fc.oneof(fc.jsonValue({ depthSize: 'small' }), fc.constant(2 ** 53 + 2), fc.string());
  const object = fc.dictionary(fc.oneof(fc.constantFrom(...NAMES, 'Sdk\u0041ppId'), fc.string()), value);
  fc.assert(
    fc.property(object, fc.boolean(), (fields, spaced) => {
      const bytes = Buffer.from(JSON.stringify(fields, null, spaced ? 2 : 0));
      const whole = parseObject(bytes);
      const envelope = envelopeOf(bytes, NAMES) ?? {};
      expect(whole.ok && NAMES.map((name) => whole.body[name])).toEqual(NAMES.map((name) => envelope[name]));
    }),
  );
});

it('takes the last of repeated fields, every digit, and names with escapes', () => {
  const envelope = envelopeOf(Buffer.from('\ufeff{"SdkAppId":1,"x":{"SdkAppId":2}, "Sdk\\u0041ppId" : 9007199254740993}'), NAMES);
  expect(idOf(envelope!, 'SdkAppId')).toBe('9007199254740993');
});

it('does not ask what the rest is', () => {
  const torn = Buffer.from('{"SdkAppId":"7","rest":[1e99,{');
  expect(envelopeOf(torn, NAMES)).toEqual({ SdkAppId: '7' });
  for (const text of ['', '7', '[]', '{}', '{"SdkAppId":', '{"SdkAppId":+-+}', '{SdkAppId:7}'])
    expect(envelopeOf(Buffer.from(text), NAMES)).toBeNull();
});

it('lets a whiteboard callback be refused before its body is parsed', () => {
  const key = { provider: 'tencent', appId: '7', tiwCallbackKey: 'key' } as const;
  const body = Buffer.from('{"SdkAppId":7,"Sign":"forged","ExpireTime":"9999999999","EventData":[1e99,{');
  expect(parseObject(body).ok).toBe(false);
  expect(tiw.webhook!.appIdOf('', body)).toBe('7');
  expect(tiw.webhook!.authenticate!({ query: '', headers: {}, body }, key, 0)).toBe(false);
});
