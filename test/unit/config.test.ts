// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are variables of the configuration's own syntax.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ConfigError, ENV, FIELD_DEFAULTS, loadConfig, parseConfig, parseDuration } from '../../src/config/index.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const MINIMAL = 'apps: [{ provider: tencent, appId: "1400000001" }]';

/** The file of contract §2, with its dots filled in. */
const REFERENCE = `
apps:
  - provider: tencent
    appId: "1400000001"
    callbackSecret: \${CALLBACK_SECRET}       # optional
    allowFrom: [203.0.113.0/24]
    tiwCallbackKey: \${TIW_KEY}
    records:  { endpoint: https://callkit-intl.trtc.tencent-cloud.com, identifier: administrator, secretKey: \${CALLKIT_KEY} }
    cloudApi: { endpoint: https://trtc.tencentcloudapi.com, region: ap-singapore, secretId: \${ID}, secretKey: \${KEY} }
  - provider: aliyun
    appId: 9qb1abcd
    api: { endpoint: https://live.aliyuncs.com, subscribeIds: [ad53276431c], accessKeyId: \${AK}, accessKeySecret: \${SK} }
sessions: { ringTimeout: 2m, settle: 30s, maxCall: 12h, retention: 2h, channelGap: 5m }
polling:  { sweepEvery: 1m, overlap: 15m, delay: 10s, userEvents: abnormal, backfillOnStart: 0s }   # userEvents: off | abnormal | all
privacy:  { pseudonymiseUsers: false, key: \${PRIVACY_KEY}, truncateClientIp: true }
kafka:    { brokers: [kafka-1.example:9093, kafka-2.example:9093], ssl: true, sasl: { mechanism: scram-sha-512, username: \${U}, password: \${P} } }
registry: { url: https://registry.example, username: \${RU}, password: \${RP} }
clickhouse: { url: https://clickhouse.example:8443, username: \${CU}, password: \${CP}, database: callstream }
ingest:   { host: 0.0.0.0, port: 8080, trustProxy: [10.0.0.0/8] }
api:      { host: 127.0.0.1, port: 8090, tokenHash: \${TOKEN_HASH} }
retention: { calls: 400d, events: 90d, metrics: 5y }
alerts: []             # rules
webhooks: []           # subscriptions
`;

const SECRETS = {
  CALLBACK_SECRET: 'cb-secret',
  TIW_KEY: 'tiw-key',
  CALLKIT_KEY: 'callkit-key',
  ID: '0012',
  KEY: 'cloud-key',
  AK: 'ak',
  SK: 'sk',
  PRIVACY_KEY: '0123456789abcdef',
  U: 'user',
  P: '12345678',
  RU: 'ru',
  RP: 'rp',
  CU: 'cu',
  CP: 'cp',
  TOKEN_HASH: 'AB'.repeat(32),
};

const problems = (text: string, env: NodeJS.ProcessEnv = {}) => {
  try {
    parseConfig(text, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  throw new Error('accepted');
};

/** Ranges hold parser objects: compare what was written. */
const plain = (value: unknown) =>
  JSON.parse(JSON.stringify(value, (_key, v) => (typeof v?.text === 'string' && typeof v.bits === 'number' ? `${v.text}|${v.bits}` : v)));

describe('the minimal file', () => {
  it('gives a whole configuration', () => {
    const { config, explicit } = parseConfig(MINIMAL, { CALLSTREAM_DATA_DIR: '/data' });
    expect(plain(config)).toEqual({
      apps: [{ provider: 'tencent', appId: '1400000001' }],
      sessions: { ringTimeout: 2 * MINUTE, settle: 30_000, maxCall: 12 * HOUR, retention: 2 * HOUR, channelGap: 5 * MINUTE },
      polling: { sweepEvery: MINUTE, overlap: 15 * MINUTE, delay: 10_000, userEvents: 'abnormal', recordSample: 0, backfillOnStart: 0 },
      privacy: { pseudonymiseUsers: false, truncateClientIp: true },
      kafka: { brokers: ['127.0.0.1:9092'], ssl: false, groupPrefix: 'callstream' },
      registry: { url: 'http://127.0.0.1:8081/apis/ccompat/v7' },
      clickhouse: { url: 'http://127.0.0.1:8123', username: 'default', password: '', database: 'callstream' },
      ingest: { host: '127.0.0.1', port: 8080, trustProxy: [] },
      api: { host: '127.0.0.1', port: 8090, admins: [] },
      retention: { calls: 400 * DAY, events: 90 * DAY, metrics: 1825 * DAY },
      alerts: [],
      webhooks: [],
      admin: { host: '127.0.0.1', port: 9090 },
      dataDir: '/data',
    });
    expect([...explicit]).toEqual(['apps']);
  });
});

describe('the reference file of the contract', () => {
  it('gives a whole configuration, secrets filled in from the environment as text', () => {
    const { config } = parseConfig(REFERENCE, { ...SECRETS, CALLSTREAM_DATA_DIR: '/data' });
    expect(plain(config)).toEqual({
      apps: [
        {
          provider: 'tencent',
          appId: '1400000001',
          callbackSecret: 'cb-secret',
          allowFrom: ['203.0.113.0/24|24'],
          tiwCallbackKey: 'tiw-key',
          records: { endpoint: 'https://callkit-intl.trtc.tencent-cloud.com', identifier: 'administrator', secretKey: 'callkit-key' },
          cloudApi: { endpoint: 'https://trtc.tencentcloudapi.com', region: 'ap-singapore', secretId: '0012', secretKey: 'cloud-key' },
        },
        {
          provider: 'aliyun',
          appId: '9qb1abcd',
          api: { endpoint: 'https://live.aliyuncs.com', subscribeIds: ['ad53276431c'], accessKeyId: 'ak', accessKeySecret: 'sk' },
        },
      ],
      sessions: { ringTimeout: 2 * MINUTE, settle: 30_000, maxCall: 12 * HOUR, retention: 2 * HOUR, channelGap: 5 * MINUTE },
      polling: { sweepEvery: MINUTE, overlap: 15 * MINUTE, delay: 10_000, userEvents: 'abnormal', recordSample: 0, backfillOnStart: 0 },
      privacy: { pseudonymiseUsers: false, key: '0123456789abcdef', truncateClientIp: true },
      kafka: {
        brokers: ['kafka-1.example:9093', 'kafka-2.example:9093'],
        ssl: true,
        sasl: { mechanism: 'scram-sha-512', username: 'user', password: '12345678' },
        groupPrefix: 'callstream',
      },
      registry: { url: 'https://registry.example', username: 'ru', password: 'rp' },
      clickhouse: { url: 'https://clickhouse.example:8443', username: 'cu', password: 'cp', database: 'callstream' },
      ingest: { host: '0.0.0.0', port: 8080, trustProxy: ['10.0.0.0/8|8'] },
      api: { host: '127.0.0.1', port: 8090, tokenHash: 'ab'.repeat(32), admins: [] },
      retention: { calls: 400 * DAY, events: 90 * DAY, metrics: 1825 * DAY },
      alerts: [],
      webhooks: [],
      admin: { host: '127.0.0.1', port: 9090 },
      dataDir: '/data',
    });
  });

  it('names every missing variable with its path and line, and nothing else', () => {
    const found = problems(REFERENCE, {});
    expect(found).toHaveLength(Object.keys(SECRETS).length);
    expect(found).toContainEqual({ path: 'apps[0].callbackSecret', message: 'environment variable CALLBACK_SECRET is not set', line: 5 });
    expect(found).toContainEqual({ path: 'kafka.sasl.password', message: 'environment variable P is not set', line: 16 });
  });
});

describe('one wrong thing', () => {
  const app = 'apps: [{ provider: tencent, appId: "1" }]\n';
  const inApp = (more: string) => `apps: [{ provider: tencent, appId: "1", ${more} }]`;
  it.each([
    ['no file content', '', 'apps', 'is required: list at least one app'],
    ['no apps', 'apps: []', 'apps', 'must list at least one app'],
    ['apps no list', 'apps: { a: b }', 'apps', 'must be a list'],
    ['a list as file', '- a', '', 'the file must be a mapping (`apps: …`)'],
    ['unknown section', `${app}kafak: {}`, '', 'unknown key `kafak`, did you mean `kafka`?'],
    ['unknown field', `${app}sessions: { ringtimeout: 2m }`, 'sessions', 'unknown key `ringtimeout`, did you mean `ringTimeout`?'],
    ['admin is no section', `${app}admin: { port: 1 }`, '', /^unknown key `admin`/],
    ['unknown field of an app', inApp('secret: x'), 'apps[0]', /^unknown key `secret`/],
    ['unknown provider', 'apps: [{ provider: zoom, appId: a }]', 'apps[0].provider', 'must be one of tencent, aliyun, not "zoom"'],
    ['no provider', 'apps: [{ appId: a }]', 'apps[0].provider', 'must be one of tencent, aliyun'],
    ['no appId', 'apps: [{ provider: aliyun }]', 'apps[0].appId', 'is required'],
    ['an app that is text', 'apps: [abc]', 'apps[0]', 'must be a mapping (provider: …, appId: …), not "abc"'],
    ['appId with a colon', 'apps: [{ provider: aliyun, appId: "a:b" }]', 'apps[0].appId', `must not contain ':', '/' or spaces, not "a:b"`],
    [
      'equal appIds of two providers',
      'apps: [{ provider: aliyun, appId: x }, { provider: tencent, appId: x }]',
      'apps[1].appId',
      /unique over all providers/,
    ],
    ['a section of the other provider', 'apps: [{ provider: aliyun, appId: x, records: {} }]', 'apps[0]', /^unknown key `records`/],
    ['empty secret', inApp('callbackSecret: ""'), 'apps[0].callbackSecret', 'must not be empty'],
    ['secret that is no path segment', inApp('callbackSecret: a/b'), 'apps[0].callbackSecret', /part of a URL's path/],
    ['bad range', inApp('allowFrom: [300.0.0.0/8]'), 'apps[0].allowFrom[0]', /address range such as .*not "300/],
    ['short address form', inApp('allowFrom: [10.1/16]'), 'apps[0].allowFrom[0]', /address range/],
    ['empty allowFrom', inApp('allowFrom: []'), 'apps[0].allowFrom', /must not be empty/],
    [
      'plain http endpoint',
      inApp('records: { endpoint: http://vendor.example, identifier: a, secretKey: k }'),
      'apps[0].records.endpoint',
      'must be https:// (http:// is for loopback addresses only), not "http://vendor.example"',
    ],
    [
      'missing part of a section',
      inApp('records: { endpoint: https://v.example, identifier: a }'),
      'apps[0].records.secretKey',
      'is required',
    ],
    [
      'an app id that the vendor’s APIs cannot know',
      'apps: [{ provider: tencent, appId: "14a", records: { endpoint: https://v.example, identifier: a, secretKey: k } }]',
      'apps[0].appId',
      /must be a number.*not "14a"/,
    ],
    [
      'unknown generation',
      inApp('records: { endpoint: https://v.example, identifier: a, secretKey: k, generation: v2 }'),
      'apps[0].records.generation',
      /must be one of v1, v4/,
    ],
    ['share above one', `${app}polling: { recordSample: 1.5 }`, 'polling.recordSample', /number from 0 to 1/],
    ['no URL', `${app}registry: { url: registry }`, 'registry.url', /must be a URL that starts with https/],
    ['credentials in a URL', `${app}clickhouse: { url: "http://u:p@h:1" }`, 'clickhouse.url', /^must not hold a user or password/],
    ['bad duration', `${app}sessions: { settle: 30 }`, 'sessions.settle', 'must be a duration such as 30s, 15m, 12h or 400d, not "30"'],
    ['duration out of bounds', `${app}sessions: { ringTimeout: 1ms }`, 'sessions.ringTimeout', 'must be from 1s to 1h, not "1ms"'],
    ['maxCall too short', `${app}sessions: { maxCall: 1m }`, 'sessions.maxCall', /longer than ringTimeout/],
    [
      'times of a test run are fine, only the last is not',
      `${app}sessions: { ringTimeout: 5s, settle: 2s, maxCall: 60s, retention: 1ms }`,
      'sessions.retention',
      /from 1s/,
    ],
    ['retention below settle', `${app}sessions: { retention: 10s }`, 'sessions.retention', /must not be shorter than settle/],
    ['overlap below delay', `${app}polling: { overlap: 5s }`, 'polling.overlap', /longer than delay/],
    ['userEvents', `${app}polling: { userEvents: some }`, 'polling.userEvents', 'must be one of off, abnormal, all, not "some"'],
    ['pseudonyms without a key', `${app}privacy: { pseudonymiseUsers: true }`, 'privacy.key', /^is required when pseudonymiseUsers is on/],
    ['short privacy key', `${app}privacy: { key: short }`, 'privacy.key', 'must have at least 16 characters'],
    ['no boolean', `${app}kafka: { ssl: yes }`, 'kafka.ssl', 'must be true or false, not "yes"'],
    ['no brokers', `${app}kafka: { brokers: [] }`, 'kafka.brokers', 'must name at least one broker'],
    ['broker without port', `${app}kafka: { brokers: [localhost] }`, 'kafka.brokers[0]', 'must be host:port, not "localhost"'],
    [
      'sasl mechanism',
      `${app}kafka: { sasl: { mechanism: md5, username: u, password: p } }`,
      'kafka.sasl.mechanism',
      /must be one of plain/,
    ],
    ['port', `${app}ingest: { port: 70000 }`, 'ingest.port', 'must be from 0 to 65535, not "70000"'],
    ['port text', `${app}ingest: { port: http }`, 'ingest.port', 'must be a whole number from 0 to 65535, not "http"'],
    ['api for everybody without token', `${app}api: { host: 0.0.0.0 }`, 'api.tokenHash', /required when host is not a loopback/],
    ['admin addresses that are no URLs', `${app}api: { admins: ["127.0.0.1:9090"] }`, 'api.admins[0]', /must be a URL/],
    ['token itself instead of its hash', `${app}api: { tokenHash: letmein }`, 'api.tokenHash', /SHA-256 of the token/],
    ['database name', `${app}clickhouse: { database: "a-b" }`, 'clickhouse.database', /letters, digits and underscores/],
    ['section that is text', `${app}kafka: hello`, 'kafka', 'must be a mapping (key: value), not "hello"'],
    ['alerts', `${app}alerts: [high]`, 'alerts[0]', 'must be a mapping (key: value), not "high"'],
    ['a dollar brace', inApp('callbackSecret: "${"'), 'apps[0].callbackSecret', /without a variable name/],
  ])('%s', (_name, text, path, message) => {
    const found = problems(text);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ path });
    if (typeof message === 'string') expect(found[0]?.message).toBe(message);
    else expect(found[0]?.message).toMatch(message);
  });
});

it('reports all problems at once, with lines', () => {
  const found = problems(
    [
      'apps:',
      '  - provider: tencent',
      '    appId: "a b"',
      '  - provider: aliyun',
      '    appid: c',
      'sessions:',
      '  settle: soon',
      '  maxCall: 1m',
      'colour: red',
    ].join('\n'),
  );
  expect(found.map((p) => [p.path, p.line])).toEqual([
    ['apps[0].appId', 3],
    ['apps[1].appId', 4],
    ['apps[1]', 4],
    ['sessions.settle', 7],
    ['sessions.maxCall', 8],
    ['', undefined],
  ]);
});

it('says where a file is not YAML', () => {
  const found = problems('apps: [\n  { provider: tencent');
  expect(found.length).toBeGreaterThan(0);
  expect(found.every((p) => p.message.startsWith('not valid YAML') && p.line !== undefined)).toBe(true);
});

describe('secrets', () => {
  it('are in no error message, whether written out or from the environment', () => {
    const text = `
apps:
  - { provider: tencent, appId: "\${S1}", callbackSecret: "S/ECRET-2", records: { endpoint: "http://S-ECRET-3@v.example", identifier: a, secretKey: "" } }
privacy: { key: SECRET-4 }
kafka: { brokers: ["\${S1}"], sasl: { mechanism: "\${S1}", username: u, password: [SECRET-5] } }
api: { tokenHash: SECRET-6 }
`;
    const env = { S1: 'SECRET-1 :' };
    let message = '';
    try {
      parseConfig(text, env);
    } catch (error) {
      message = `${(error as Error).message} ${JSON.stringify(error)}`;
    }
    expect(message).toContain('kafka.sasl.mechanism');
    expect(message).not.toMatch(/S.?ECRET-\d/);
  });
});

describe('${NAME} and $$', () => {
  it('are replaced in values only, quoted or not, and a value cannot add structure', () => {
    const { config } = parseConfig('apps: [{ provider: tencent, appId: ${A}, callbackSecret: "a${X}b$$c" }] # ${NOT_SET}', {
      A: '1',
      X: '",appId:"2',
    });
    expect(config.apps[0]).toEqual({ provider: 'tencent', appId: '1', callbackSecret: 'a",appId:"2b$c' });
  });
  it('escapes', () => {
    const { config } = parseConfig('apps: [{ provider: tencent, appId: "1", callbackSecret: "$${X}$${${X}" }]', { X: 'y' });
    expect(config.apps[0]?.callbackSecret).toBe('${X}${y');
  });
});

describe('ids', () => {
  it('stay as written when not quoted', () => {
    const { config } = parseConfig('apps: [{ provider: tencent, appId: 12345678901234567890 }, { provider: aliyun, appId: 007 }]');
    expect(config.apps.map((a) => a.appId)).toEqual(['12345678901234567890', '007']);
  });
});

describe('environment variables', () => {
  const text = `${MINIMAL}\ningest: { host: 0.0.0.0, port: 1 }\nkafka: { brokers: [a:1], ssl: true }`;
  it('win over the file and leave the rest of a section', () => {
    const { config, explicit } = parseConfig(text, {
      CALLSTREAM_INGEST_PORT: '18080',
      CALLSTREAM_API_PORT: '18090',
      CALLSTREAM_ADMIN_PORT: '0',
      KAFKA_BROKERS: 'b:1, c:2',
      SCHEMA_REGISTRY_URL: 'http://r:1/x/',
      CLICKHOUSE_URL: 'http://c:1',
    });
    expect(config.ingest).toMatchObject({ host: '0.0.0.0', port: 18080 });
    expect(config.kafka).toMatchObject({ brokers: ['b:1', 'c:2'], ssl: true });
    expect([config.api.port, config.admin.port, config.registry.url, config.clickhouse.url]).toEqual([
      18090,
      0,
      'http://r:1/x',
      'http://c:1',
    ]);
    expect(explicit.has('registry.url')).toBe(true);
  });
  it('that move the embedded servers tell where they are, unless an address is given, and do not count as one', () => {
    const env = { CALLSTREAM_KAFKA_PORT: '19092', CALLSTREAM_REGISTRY_PORT: '18081', CALLSTREAM_CLICKHOUSE_PORT: '0' };
    const { config, explicit } = parseConfig(MINIMAL, env);
    expect(config.kafka.brokers).toEqual(['127.0.0.1:19092']);
    expect(config.registry.url).toBe('http://127.0.0.1:18081/apis/ccompat/v7');
    expect(config.clickhouse.url).toBe('http://127.0.0.1:8123');
    expect([...explicit]).toEqual(['apps']);
    expect(parseConfig(text, env).config.kafka.brokers).toEqual(['a:1']);
    expect(parseConfig(MINIMAL, { ...env, KAFKA_BROKERS: 'b:1' }).config.kafka.brokers).toEqual(['b:1']);
  });
  it('are named in errors', () => {
    expect(problems(MINIMAL, { CALLSTREAM_API_PORT: 'x' })[0]).toEqual({
      path: 'CALLSTREAM_API_PORT (api.port)',
      message: 'must be a whole number from 0 to 65535, not "x"',
    });
  });
  it('that are empty count as not set', () => {
    expect(parseConfig(MINIMAL, { CALLSTREAM_API_PORT: '' }).config.api.port).toBe(8090);
  });
});

describe('the file itself', () => {
  const dir = mkdtempSync(join(tmpdir(), 'callstream-config-'));
  afterEach(() => rmSync(dir, { recursive: true, force: true }));
  it('is named by --config and must be there', () => {
    expect(() => loadConfig({ file: join(dir, 'none.yaml'), demo: true })).toThrow(/none\.yaml has a problem:\n {2}there is no such file/);
  });
  it('is loaded', () => {
    const dir2 = mkdtempSync(join(tmpdir(), 'callstream-config-'));
    writeFileSync(join(dir2, 'c.yaml'), MINIMAL);
    expect(loadConfig({ file: join(dir2, 'c.yaml'), env: {} })).toMatchObject({ demo: false, file: join(dir2, 'c.yaml') });
    rmSync(dir2, { recursive: true });
  });
  it('may be missing where the demo app serves', () => {
    const cwd = process.cwd;
    process.cwd = () => dir;
    try {
      expect(loadConfig({ demo: true, env: {} })).toMatchObject({ demo: true, file: null, config: { apps: [{ appId: '1400000001' }] } });
      expect(() => loadConfig({ env: {} })).toThrow(/no such file here/);
    } finally {
      process.cwd = cwd;
    }
  });
});

it.each([
  ['0s', 0],
  ['250ms', 250],
  ['2m', 2 * MINUTE],
  ['12h', 12 * HOUR],
  ['1h30m', 90 * MINUTE],
  ['400d', 400 * DAY],
  ['5y', 1825 * DAY],
  ['', null],
  ['5', null],
  ['-5s', null],
  ['1.5h', null],
  ['5 m', null],
  ['99999999999y', null],
])('duration %s', (text, ms) => expect(parseDuration(text)).toBe(ms));

describe('docs/configuration.md', () => {
  const page = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8');
  it('names every field, with its default', () => {
    for (const [section, fields] of Object.entries(FIELD_DEFAULTS)) {
      if (section === 'admin') continue;
      expect(page).toContain(`\`${section}.`);
      for (const [field, value] of Object.entries(fields as Record<string, string | readonly string[]>)) {
        const row = page
          .split('\n')
          .find((l) => l.startsWith(`| \`${section}.${field}\``) || new RegExp(`^\\| \`${section}\\..*\`\\.${field}\``).test(l));
        expect(row, `${section}.${field}`).toBeDefined();
        if (value !== '') expect(row).toContain(Array.isArray(value) ? `[${value.join(', ')}]` : value);
      }
    }
  });
  it('names every environment variable', () => {
    for (const variable of Object.values(ENV)) expect(page).toContain(`\`${variable}\``);
  });
});
