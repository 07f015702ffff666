import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../src/cli/doctor/config.js';
import { type ForgetDeps, forgetUser } from '../../src/cli/forget/forget.js';
import type { Affected, Erased } from '../../src/cli/forget/traces.js';
import type { PollCursor } from '../../src/codec/generated.js';
import { parseConfig } from '../../src/config/index.js';
import { Pseudonyms } from '../../src/sources/pseudonym.js';
import type { OutputRecord } from '../../src/stream/types.js';
import { ForgottenList, forgottenCursor, KNOWN_EVERYWHERE_MS } from '../../src/workers/forgotten.js';
import { refoldChannelKey, refoldKey, refoldRecordingKey } from '../../src/workers/refold.js';
import { codecs } from '../support/worker-kit.js';

const pseudonyms = new Pseudonyms('a dummy key for tests');
const NOTHING: Affected = { calls: [], channels: [], recordings: [] };
const CLEAN: Erased = { revisions: 0, events: 0, deadLetters: 0 };
const SOME: Affected = {
  calls: [{ provider: 'tencent', app_id: '1', call_id: 'c' }],
  channels: [{ key: { provider: 'aliyun', app_id: '1', channel_id: 'ch' }, from: 5 }],
  recordings: [{ provider: 'tencent', app_id: '1', task_id: 't' }],
};

/** What happened, in order; the world does what it should unless a test says otherwise. */
function stage(more: Partial<ForgetDeps> = {}) {
  let now = 1_000_000;
  let affected = SOME;
  let dirty: Erased = { revisions: 2, events: 3, deadLetters: 1 };
  const happened: string[] = [];
  const sent: OutputRecord[] = [];
  const deps: ForgetDeps = {
    listed: async () => {
      happened.push('listed');
      return now;
    },
    traces: {
      affected: async () => affected,
      erase: async () => {
        const erased = dirty;
        dirty = CLEAN;
        happened.push('erased');
        return erased;
      },
    },
    send: async (records) => {
      happened.push('sent');
      sent.push(...records);
      affected = NOTHING;
    },
    encode: (event) => codecs.raw.encode(event),
    partitions: 4,
    published: async () => {
      happened.push('stored');
      return async () => 0;
    },
    clock: { now: () => now },
    sleep: async (ms) => {
      now += ms;
    },
    onStep: () => {},
    signal: new AbortController().signal,
    ...more,
  };
  return { deps, happened, sent, now: () => now };
}

describe('forgetting a user', () => {
  it('goes step by step: the list, what is published, the rows', async () => {
    const { deps, happened, sent, now } = stage();
    const begun = now();
    expect(await forgetUser(deps)).toEqual({ calls: 1, channels: 1, recordings: 1, revisions: 2, events: 3, deadLetters: 1 });
    expect(now() - begun).toBe(KNOWN_EVERYWHERE_MS);
    expect(happened).toEqual(['listed', 'stored', 'sent', 'stored', 'erased', 'erased']);
    const asked = sent.map(({ topic, value }) => ({ topic, raw: codecs.raw.decode(value!) }));
    expect(asked.map(({ topic, raw }) => [topic, refoldKey(raw) ?? refoldRecordingKey(raw) ?? refoldChannelKey(raw)])).toEqual([
      ['callstream.raw.late', SOME.calls[0]],
      ['callstream.raw.tiw', SOME.recordings[0]],
      ['callstream.raw.aliyun-rtc', SOME.channels[0]],
    ]);
  });

  it('waits for nothing that an earlier run has waited for', async () => {
    const { deps, now } = stage({ listed: async () => 0 });
    const begun = now();
    await forgetUser(deps);
    expect(now()).toBe(begun);
  });

  it.each([
    ['the worker', 'sessions', { traces: { affected: async () => SOME, erase: async () => CLEAN } }],
    ['the sink', 'sink', { published: async () => async () => 7 }],
  ])('ends with a clear word when %s does not work, and deletes nothing', async (_who, role, more) => {
    const { deps, happened } = stage(more);
    await expect(forgetUser(deps)).rejects.toMatchObject({
      code: 'FORGET_STALLED',
      message: expect.stringContaining(`the role ${role} has to`),
    });
    expect(happened).not.toContain('erased');
  });
});

describe('the list of forgotten users', () => {
  const entry = (user: string, by = pseudonyms): PollCursor => forgottenCursor(by, '1', user, 5);

  function list(by: Pseudonyms | null = pseudonyms) {
    let now = 0;
    const coming: PollCursor[] = [];
    let away = false;
    let reads = 0;
    const known = new ForgottenList(
      by,
      async () => {
        reads += 1;
        if (away) throw new Error('Kafka is away');
        return coming.splice(0);
      },
      { now: () => now },
    );
    const pass = (ms: number) => (now += ms);
    return { known, coming, pass, setAway: (is: boolean) => (away = is), reads: () => reads };
  }

  it('is at most two seconds old, and read once by all who wait for it', async () => {
    const { known, coming, pass, reads } = list();
    await known.ready();
    coming.push(entry('zoe'));
    pass(1_999);
    await known.ready();
    expect(reads()).toBe(1);
    pass(1);
    await Promise.all([known.ready(), known.ready()]);
    expect(reads()).toBe(2);
    expect(known.has('1', pseudonyms.of('1', 'zoe'))).toBe(true);
    expect(known.has('2', pseudonyms.of('1', 'zoe'))).toBe(false);
    expect(known.size).toBe(1);
  });

  it('is waited for while it cannot be read, and after a clock was set back', async () => {
    const { known, pass, setAway, reads } = list();
    setAway(true);
    await expect(known.ready()).rejects.toThrow('Kafka is away');
    setAway(false);
    await known.ready();
    pass(-60_000);
    await known.ready();
    expect(reads()).toBe(3);
  });

  it('passes over cursors of sources, and wants the key that its users were put there with', async () => {
    const { known, coming } = list();
    coming.push({ ...entry('zoe'), source: 'call-record' }, entry('amy'));
    await known.ready();
    expect(known.size).toBe(1);
    for (const other of [null, new Pseudonyms('another dummy key')]) {
      const wrong = list(other);
      wrong.coming.push(entry('zoe'));
      await expect(wrong.known.ready()).rejects.toMatchObject({ code: 'PRIVACY_KEY_CHANGED' });
    }
  });
});

describe('what doctor says of privacy', () => {
  const said = (privacy: string): string[] =>
    checkConfig({ ...parseConfig(`apps: [{ provider: tencent, appId: "1" }]\nprivacy: ${privacy}`), file: 'f', demo: false })
      .filter(({ what }) => what === 'privacy')
      .map(({ level, is }) => `${level}: ${is}`);

  it.each([
    ['{ truncateClientIp: true }', []],
    [`{ key: ${'k'.repeat(32)} }`, ['ok: users go by their ids; those of forget-user by pseudonyms']],
    [`{ pseudonymiseUsers: true, key: ${'k'.repeat(64)} }`, ['ok: users go by pseudonyms']],
    [`{ pseudonymiseUsers: true, key: ${'k'.repeat(31)} }`, ['warning: users go by pseudonyms; the key is shorter than 32 characters']],
  ])('%s', (privacy, expected) => expect(said(privacy)).toEqual(expected));
});
