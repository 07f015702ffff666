import { describe, expect, it } from 'vitest';
import type { AlertSilence } from '../../src/codec/generated.js';
import { ConfigError, type ConfigProblem, parseConfig } from '../../src/config/index.js';
import { type AlertRule, BUILT_IN_RULES, rulesOf } from '../../src/domain/alert-rules.js';
import { holds, look } from '../../src/domain/alerts.js';
import { AlertBook } from '../../src/workers/alerts/book.js';
import { inForce, silence } from '../../src/workers/alerts/silences.js';

const MINUTE = 60_000;
const app = 'apps: [{ provider: tencent, appId: "1" }, { provider: aliyun, appId: ali }]\n';
const SECRET = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;
const configOf = (text: string) => parseConfig(app + text, { SECRET }).config;

function problems(text: string): readonly ConfigProblem[] {
  try {
    configOf(text);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

const rule = (over: Partial<AlertRule> = {}): AlertRule => ({
  name: 'missed',
  metric: 'missed_rate',
  window: 15 * MINUTE,
  threshold: 0.5,
  minimum: 10,
  for: 2 * MINUTE,
  apps: null,
  ...over,
});

describe('rules', () => {
  it('are the built-ins that are on, without a word of the configuration', () => {
    const names = rulesOf([]).map(({ name }) => name);
    expect(names).toEqual([...BUILT_IN_RULES.values()].filter(({ enabled }) => enabled).map(({ name }) => name));
    expect(names).not.toContain('unreturned-missed');
    expect(rulesOf([])[0]).not.toHaveProperty('enabled');
  });

  it('change a built-in by its name, switch it off or on, and add others with defaults', () => {
    const rules = rulesOf(
      configOf(`alerts:
        - { name: missed-rate, threshold: 0.25, for: 0s, apps: ["1"] }
        - { name: failed-rate, enabled: false }
        - { name: unreturned-missed, threshold: 90m }
        - { name: vip, metric: missed_rate, threshold: 0.1, window: 5m }`).alerts,
    );
    const named = (name: string) => rules.find((r) => r.name === name);
    expect(named('missed-rate')).toEqual({
      name: 'missed-rate',
      metric: 'missed_rate',
      window: 15 * MINUTE,
      threshold: 0.25,
      minimum: 20,
      for: 0,
      apps: ['1'],
    });
    expect(named('failed-rate')).toBeUndefined();
    expect(named('unreturned-missed')).toMatchObject({ threshold: 90 * MINUTE, window: 1_440 * MINUTE });
    expect(named('vip')).toEqual({
      name: 'vip',
      metric: 'missed_rate',
      window: 5 * MINUTE,
      threshold: 0.1,
      minimum: 20,
      for: 5 * MINUTE,
      apps: null,
    });
  });

  it('are checked at once, all of them', () => {
    const found = problems(`alerts:
  - { name: a, metric: missed_rates, threshold: 0.1 }
  - { name: b, metric: missed_rate, threshold: 30m, window: 1s }
  - { name: c, metric: source_silence, threshold: 0.5 }
  - { name: d }
  - { name: missed-rate, metric: failed_rate }
  - { name: b, metric: missed_rate, threshold: 1.5, apps: [nobody] }
  - { name: E, metric: recording_exceptions, threshold: 3 }
  - { name: volume-drop, window: 2d }`);
    expect(found.map(({ path, line }) => `${path}@${line}`).sort()).toEqual(
      [
        'alerts[0].metric@3',
        'alerts[1].threshold@4',
        'alerts[1].window@4',
        'alerts[2].threshold@5',
        'alerts[3].metric@6',
        'alerts[3].threshold@6',
        'alerts[4].metric@7',
        'alerts[5].apps[0]@8',
        'alerts[5].name@8',
        'alerts[5].threshold@8',
        'alerts[6].name@9',
        'alerts[7].window@10',
      ].sort(),
    );
  });
});

describe('webhooks in the configuration', () => {
  const url = (text: string) => problems(`webhooks: [{ name: w, secret: "\${SECRET}", url: "${text}" }]`);

  it('tell of alerts if nothing else is said', () => {
    expect(configOf(`webhooks: [{ name: w, secret: "\${SECRET}", url: "https://h.example.com/x?t=1" }]`).webhooks).toEqual([
      { name: 'w', secret: SECRET, url: 'https://h.example.com/x?t=1', events: ['alert.fired', 'alert.resolved'], format: 'standard' },
    ]);
  });

  it.each([
    'https://hooks.example.com/a/b',
    'https://93.184.216.34/',
    'https://[2606:4700::1]/',
    'http://127.0.0.1:9/x',
    'http://localhost:9/x',
    'http://[::1]:9/x',
  ])('take %s', (text) => expect(url(text)).toEqual([]));

  it.each([
    'http://hooks.example.com/',
    'ftp://hooks.example.com/',
    'https://user:pw@hooks.example.com/',
    'https://hooks.example.com/#x',
    'https://10.0.0.1/',
    'https://169.254.169.254/latest',
    'https://[fd00::1]/',
    'https://[::ffff:10.0.0.1]/',
    'https://[64:ff9b::a00:1]/',
    'http://2130706433/',
    'http://0177.0.0.1/',
    'http://0x7f.1/',
    'http://127.1/',
    'https://0xa000001/',
    'hooks.example.com',
  ])('refuse %s, without repeating it', (text) => {
    const found = url(text);
    expect(found.map(({ path }) => path)).toEqual(['webhooks[0].url']);
    expect(found[0]?.message).not.toContain(text);
  });

  it('take their secret from the environment alone, and need one but for Slack', () => {
    const message = (text: string) => problems(text).map((p) => `${p.path}: ${p.message}`);
    expect(message(`webhooks: [{ name: w, url: "https://e.com", secret: ${SECRET} }]`)).toEqual([
      expect.stringMatching(/^webhooks\[0\]\.secret: must come from an environment variable/),
    ]);
    expect(message('webhooks: [{ name: w, url: "https://e.com" }]')).toEqual([
      expect.stringMatching(/^webhooks\[0\]\.secret: is required/),
    ]);
    expect(message('webhooks: [{ name: w, url: "https://e.com", format: slack }]')).toEqual([]);
    expect(() => parseConfig(`${app}webhooks: [{ name: w, url: "https://e.com", secret: "\${S}" }]`, { S: 'whsec_short' })).toThrow(
      /whsec_ and 24 to 64 bytes/,
    );
  });
});

describe('a look at a metric', () => {
  const bad = { value: 0.6, n: 10 };
  const good = { value: 0.5, n: 10 };

  it('needs a value above the threshold, and enough of what it is about', () => {
    expect(holds(rule(), bad)).toBe(true);
    expect(holds(rule(), good)).toBe(false);
    expect(holds(rule(), { value: 1, n: 9 })).toBe(false);
    expect(holds(rule(), null)).toBe(false);
  });

  it('fires when the condition has held long enough without a break, and resolves likewise', () => {
    const r = rule();
    expect(look(r, bad, { firing: null, since: null }, 0)).toEqual({ since: 0, change: null });
    expect(look(r, bad, { firing: null, since: 0 }, 2 * MINUTE - 1)).toEqual({ since: 0, change: null });
    expect(look(r, good, { firing: null, since: 0 }, MINUTE)).toEqual({ since: null, change: null });
    expect(look(r, bad, { firing: null, since: 0 }, 2 * MINUTE).change).toBe('firing');
    const firing = { fired_at: 1 };
    expect(look(r, bad, { firing, since: 3 }, 4)).toEqual({ since: null, change: null });
    expect(look(r, null, { firing, since: null }, 4)).toEqual({ since: 4, change: null });
    expect(look(r, null, { firing, since: 4 }, 4 + 2 * MINUTE).change).toBe('resolved');
  });

  it('changes at once where the rule does not wait', () => {
    expect(look(rule({ for: 0 }), bad, { firing: null, since: null }, 9).change).toBe('firing');
  });
});

describe('the book', () => {
  const apps = [
    { provider: 'tencent', appId: '1' },
    { provider: 'aliyun', appId: 'ali' },
  ];
  const quick = rule({ for: 0 });

  it('says the same until it is told that it was published', () => {
    const book = new AlertBook([]);
    const bad = () => ({ value: 1, n: 99 });
    const [first] = book.next([quick], apps, bad, 5);
    expect(first).toMatchObject({
      rule: 'missed',
      app_id: '1',
      provider: 'tencent',
      state: 'firing',
      value: 1,
      n: 99,
      fired_at: 5,
      resolved_at: null,
    });
    const again = book.next([quick], apps, bad, 7);
    expect(again.map(({ app_id, fired_at }) => [app_id, fired_at])).toEqual([
      ['1', 7],
      ['ali', 7],
    ]);
    book.published(again);
    expect(book.next([quick], apps, bad, 8)).toEqual([]);
    expect(book.firing()).toEqual(again);
  });

  it('resolves under the name that fired', () => {
    const book = new AlertBook([]);
    const [fired] = book.next([quick], [apps[0]!], () => ({ value: 1, n: 99 }), 5);
    book.published([fired!]);
    expect(book.next([quick], [apps[0]!], () => ({ value: 0.1, n: 50 }), 9)).toEqual([
      { ...fired, state: 'resolved', value: 0.1, n: 50, resolved_at: 9 },
    ]);
  });

  it('resolves what nobody watches any more: another configuration has no such rule, or app', () => {
    const [fired] = new AlertBook([]).next([quick], [apps[0]!], () => ({ value: 1, n: 99 }), 5);
    const [noRule, noApp] = [new AlertBook([fired!]), new AlertBook([fired!])];
    expect(noRule.next([], apps, () => null, 9)).toEqual([{ ...fired, state: 'resolved', resolved_at: 9 }]);
    expect(noApp.next([rule({ for: 0, apps: ['ali'] })], apps, () => null, 9)).toEqual([{ ...fired, state: 'resolved', resolved_at: 9 }]);
  });

  it('gives an alert that fires again another id', () => {
    const at = (now: number) => new AlertBook([]).next([quick], [apps[0]!], () => ({ value: 1, n: 99 }), now)[0]!.alert_id;
    expect(at(5)).toBe(at(5));
    expect(at(5)).not.toBe(at(6));
  });
});

describe('silences', () => {
  const entry = (over: Partial<AlertSilence>): AlertSilence => ({
    rule: 'missed',
    app_id: '',
    until: 100,
    comment: '',
    updated_at: 1,
    ...over,
  });
  const [alert] = new AlertBook([]).next([rule({ for: 0 })], [{ provider: 'tencent', appId: '1' }], () => ({ value: 1, n: 99 }), 5);

  it('end by themselves, or by a newer word', () => {
    expect(inForce([entry({})], 99)).toHaveLength(1);
    expect(inForce([entry({})], 100)).toHaveLength(0);
    expect(inForce([entry({}), entry({ until: 50, updated_at: 2 })], 60)).toHaveLength(0);
    expect(inForce([entry({ until: 50, updated_at: 2 }), entry({})], 60)).toHaveLength(0);
  });

  it('are of one rule, and of one app or all', () => {
    const silenced = (s: AlertSilence) => silence(alert!, [s], 5).silenced;
    expect(silenced(entry({}))).toBe(true);
    expect(silenced(entry({ app_id: '1' }))).toBe(true);
    expect(silenced(entry({ app_id: 'ali' }))).toBe(false);
    expect(silenced(entry({ rule: 'other' }))).toBe(false);
  });

  it('cover the resolution of what fired silently, though they have ended', () => {
    const resolved = { ...alert!, state: 'resolved', resolved_at: 200 };
    expect(silence({ ...resolved, silenced: true }, [], 200).silenced).toBe(true);
    expect(silence(resolved, [], 200).silenced).toBe(false);
  });
});
