import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createGate } from '../../src/api/access.js';
import type { Problem } from '../../src/api/problem.js';
import { isLoopback } from '../../src/telemetry/loopback.js';

const TOKEN_HASH = createHash('sha256').update('open sesame'.replace(' ', '-')).digest('hex');

const codeOf = (run: () => void): string => {
  try {
    run();
    return 'ok';
  } catch (error) {
    return (error as Problem).code;
  }
};

describe('access to the API', () => {
  it('refuses to start where others can reach it without a token', () => {
    for (const host of ['0.0.0.0', '::', '192.168.1.5', 'calls.example.com', '127.evil.example'])
      expect(() => createGate(host, undefined)).toThrow(expect.objectContaining({ code: 'API_TOKEN_REQUIRED' }));
    for (const host of ['127.0.0.1', '::1', 'localhost']) expect(() => createGate(host, undefined)).not.toThrow();
  });

  it('refuses a hash that is none', () => {
    expect(() => createGate('0.0.0.0', 'open-sesame')).toThrow(expect.objectContaining({ code: 'API_TOKEN_INVALID' }));
  });

  it('lets in the one token whose hash it is, on every address', () => {
    for (const host of ['0.0.0.0', '127.0.0.1']) {
      const gate = createGate(host, TOKEN_HASH);
      expect(codeOf(() => gate({ authorization: 'Bearer open-sesame' }))).toBe('ok');
      expect(codeOf(() => gate({ authorization: 'bearer  open-sesame ' }))).toBe('ok');
      for (const authorization of [
        undefined,
        '',
        'Bearer',
        'Bearer open-sesam',
        `Bearer ${TOKEN_HASH}`,
        'Basic open-sesame',
        'open-sesame',
      ])
        expect(codeOf(() => gate({ authorization }))).toBe('TOKEN_REQUIRED');
    }
  });

  it('without a token answers only requests that name this machine (DNS rebinding)', () => {
    const gate = createGate('127.0.0.1', undefined);
    for (const host of ['127.0.0.1:8090', 'localhost:8090', 'LOCALHOST', '[::1]:8090']) expect(codeOf(() => gate({ host }))).toBe('ok');
    for (const host of ['evil.example:8090', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1', '', undefined])
      expect(codeOf(() => gate({ host }))).toBe('HOST_NOT_LOCAL');
  });

  it('knows loopback addresses', () => {
    expect(['127.0.0.1', '127.9.9.9', '::1', '[::1]', 'localhost'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '::', '128.0.0.1', 'localhost2', '127.1.example'].some(isLoopback)).toBe(false);
  });
});
