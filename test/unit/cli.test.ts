import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { loadForClient } from '../../src/cli/commands/options.js';
import { duration, time } from '../../src/cli/commands/parse.js';
import { advise, explainReason, explainStage, showBody } from '../../src/cli/dead-letters/explain.js';
import { checkOrigin, type DeadLetterRow } from '../../src/cli/dead-letters/read.js';
import { replay } from '../../src/cli/dead-letters/replay.js';
import { runCli } from '../../src/cli/program.js';
import { startProgress } from '../../src/cli/progress.js';
import { lastWords } from '../../src/cli/supervise/last-words.js';
import { callbackUrls, exampleEvent, welcome } from '../../src/cli/up/addresses.js';
import { parseConfig } from '../../src/config/index.js';
import type { OutputRecord } from '../../src/stream/types.js';
import { terminal } from '../support/terminal.js';

const dir = mkdtempSync(join(tmpdir(), 'callstream-cli-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** So many hours ago, as a command line has it. */
const HOURS = (ago: number): string => String(Date.now() - ago * 3_600_000);

const run = async (...args: string[]) => {
  const { io, written } = terminal();
  const code = await runCli(args, io);
  return { code, ...written };
};

describe('the command line', () => {
  it('explains itself: every command, the exit codes, where to start', async () => {
    const { code, out } = await run('--help');
    expect(code).toBe(0);
    for (const command of ['up', 'run', 'migrate', 'simulate', 'backfill', 'dead-letters', 'alerts', 'repair', 'doctor'])
      expect(out).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
    expect(out).toContain('Exit codes: 0 done, 1 failed or differences found, 2 wrong command line or configuration.');
    expect(out).toContain('callstream up --simulate');
  });

  it.each(['up', 'run', 'migrate', 'simulate', 'backfill', 'dead-letters', 'alerts', 'repair', 'doctor'])(
    '%s --help has examples',
    async (command) => {
      const { code, out } = await run(command, '--help');
      expect(code).toBe(0);
      expect(out).toMatch(new RegExp(`Examples:\\n  \\$ .*callstream ${command}`));
    },
  );

  it('says its version', async () =>
    expect(await run('--version')).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) }));

  it.each([
    [['dance'], /unknown command 'dance'/],
    [['simulat'], /Did you mean simulate\?/],
    [['run'], /missing required argument 'role'/],
    [['run', 'cook'], /Roles are ingest, poll, sessions, events, sink, api, alerts/],
    [['alerts', 'silence', 'missed-rate'], /required option '--for <duration>'/],
    [['alerts', 'silence', 'missed-rate', '--for', 'ever'], /Write a duration/],
    [['alerts', 'test'], /missing required argument 'webhook'/],
    [['simulate', '--chaos', 'some'], /Allowed choices are none, mild, hard/],
    [['simulate', '--for', 'ever'], /Write a duration/],
    [['simulate', '--calls', '0'], /whole number above 0/],
    [['repair'], /--call APP CALL, or a time range/],
    [['repair', '--call', 'a'], /--call APP CALL/],
    [['repair', '--from', '2026-01-01'], /--from T --to T/],
    [['dead-letters', 'replay'], /say which/],
    [['backfill', 'tuicallkit', '--from', '2026-01-01', '--to', '2026-01-02'], /Allowed choices are call-record, user-event, aliyun-rtc/],
    [['backfill', 'call-record', '--from', '2026-01-01'], /required option '--to <time>'/],
    [['backfill', 'call-record', '--from', 'monday', '--to', '2026-01-02'], /Write a UTC time/],
    [['run', 'ingest', '--config', join(dir, 'none.yaml')], /there is no such file/],
  ])('%j is a usage error', async (args, message) => {
    const { code, err } = await run(...args);
    expect(err).toMatch(message);
    expect(code).toBe(2);
  });

  it.each(['migrate', 'doctor', 'dead-letters list', 'repair --call a c', 'simulate'])(
    '%s never takes the demo configuration to a server that somebody has named',
    async (command) => {
      const { io, written } = terminal({ CALLSTREAM_DATA_DIR: join(dir, 'nothing'), CLICKHOUSE_URL: 'http://127.0.0.1:9' });
      expect(await runCli(command.split(' '), io)).toBe(2);
      expect(written.err).toMatch(/callstream\.yaml has a problem:\n.*CLICKHOUSE_URL names a server.*--config FILE/);
    },
  );

  it('commands take the demo that up has left, or the demo at the addresses of up', () => {
    const data = mkdtempSync(join(dir, 'left-'));
    const env = { CALLSTREAM_DATA_DIR: data, CALLSTREAM_CLICKHOUSE_PORT: '18123' };
    expect(loadForClient(terminal(env).io, {})).toMatchObject({ demo: true, config: { clickhouse: { url: 'http://127.0.0.1:18123' } } });
    writeFileSync(join(data, 'demo.yaml'), 'apps: [{ provider: tencent, appId: "77" }]');
    const named = terminal({ ...env, CLICKHOUSE_URL: 'http://127.0.0.1:9' });
    expect(loadForClient(named.io, {})).toMatchObject({ config: { apps: [{ appId: '77' }], clickhouse: { url: 'http://127.0.0.1:9' } } });
  });

  it.each<[string, string[], RegExp]>([
    [
      'a range the wrong way round',
      ['call-record', '--from', HOURS(1), '--to', HOURS(2)],
      /--from .* is not before --to .* \[BACKFILL_RANGE\]/,
    ],
    ['a range that is too old', ['call-record', '--from', HOURS(200), '--to', HOURS(1)], /7 days back.*the oldest that can be had now is/],
    ['a range still to come', ['call-record', '--from', HOURS(1), '--to', HOURS(-1)], /still to come/],
    [
      'nobody with credentials',
      ['user-event', '--from', HOURS(2), '--to', HOURS(1)],
      /no app has cloudApi, which user-event needs: set cloudApi/,
    ],
    [
      'an unknown app',
      ['call-record', '--from', HOURS(2), '--to', HOURS(1), '--app', '9'],
      /no app 9, .* or take one of 2 \[BACKFILL_APP\]/,
    ],
    [
      'an app without',
      ['call-record', '--from', HOURS(2), '--to', HOURS(1), '--app', '1'],
      /apps\[0\] \(1\) has no records, .* or take one of 2/,
    ],
    ['an app of others', ['aliyun-rtc', '--from', HOURS(2), '--to', HOURS(1), '--app', '1'], /app 1 is no app of aliyun/],
  ])('backfill says what is wrong with %s, before it touches a server', async (_, args, message) => {
    const file = join(dir, 'backfill.yaml');
    const records = 'records: { endpoint: "http://127.0.0.1:1", identifier: administrator, secretKey: k }';
    writeFileSync(file, `apps:\n- { provider: tencent, appId: "1" }\n- { provider: tencent, appId: "2", ${records} }\n`);
    const { code, err } = await run('backfill', ...args, '--config', file);
    expect(err).toMatch(message);
    expect(err.trim()).not.toContain('\n');
    expect(code).toBe(1);
  });

  it('reports every configuration problem, with exit code 2', async () => {
    const file = join(dir, 'wrong.yaml');
    writeFileSync(file, 'apps: [{ provider: tencent, appId: "a:b" }]\nsessions: { settle: soon }\n');
    const { code, err } = await run('run', 'api', '--config', file);
    expect(code).toBe(2);
    expect(err).toContain('wrong.yaml has 2 problems:');
    expect(err).toContain('apps[0].appId (line 1):');
    expect(err).toContain('sessions.settle (line 2):');
  });
});

describe('option values', () => {
  it.each([
    ['2026-01-31', Date.UTC(2026, 0, 31)],
    ['2026-01-31T08:05', Date.UTC(2026, 0, 31, 8, 5)],
    ['2026-01-31T08:05:06Z', Date.UTC(2026, 0, 31, 8, 5, 6)],
    ['2026-01-31 08:05:06.5+02:00', Date.UTC(2026, 0, 31, 6, 5, 6, 500)],
    ['1769846706000', 1_769_846_706_000],
  ])('time %s', (text, ms) => expect(time(text)).toBe(ms));
  it.each(['yesterday', '2026-13-01', '31.01.2026', ''])('no time: %j', (text) => expect(() => time(text)).toThrow(/UTC time/));
  it('durations', () => {
    expect(duration('10m')).toBe(600_000);
    expect(() => duration('10')).toThrow();
  });
});

describe('dead letters', () => {
  const letter = (origin: string, more: Partial<DeadLetterRow> = {}): DeadLetterRow => {
    const [topic = '', partition, offset] = origin.split(':');
    return {
      origin,
      stage: 'parse',
      reason: 'not_json',
      error: 'the body is not JSON',
      source: 'tuicallkit',
      app_id: '1',
      received_at: 5,
      topic,
      partition: Number(partition),
      offset: Number(offset),
      key: 'k',
      body: Buffer.from('{'),
      ...more,
    };
  };
  const world = (originals: Record<string, string> = {}) => {
    const sent: OutputRecord[] = [];
    return {
      sent,
      deps: {
        original: async (topic: string, p: number, offset: number) => {
          const value = originals[`${topic}:${p}:${offset}`];
          return value === undefined ? null : { key: Buffer.from('original key'), value: Buffer.from(value) };
        },
        send: async (record: OutputRecord) => void sent.push(record),
        codec: { encode: (event: object) => Buffer.from(JSON.stringify(event)) },
        newId: () => 'new',
      },
    };
  };

  it('are sent again as the very record, to the same partition, once for all elements of a delivery', async () => {
    const { deps, sent } = world({ 'callstream.raw.x:2:7': 'RAW' });
    const report = await replay([letter('callstream.raw.x:2:7:0'), letter('callstream.raw.x:2:7:3')], deps, () => {});
    expect(report).toEqual({ sent: 1, rewrapped: 0, skipped: [], lost: [] });
    expect(sent).toEqual([{ topic: 'callstream.raw.x', partition: 2, key: Buffer.from('original key'), value: Buffer.from('RAW') }]);
  });

  it('are wrapped anew when the raw topic has lost them; an undecodable value goes as it is', async () => {
    const { deps, sent } = world();
    const report = await replay(
      [letter('callstream.raw.x:0:1'), letter('callstream.raw.x:0:2', { stage: 'decode', body: Buffer.from([1, 2]) })],
      deps,
      () => {},
    );
    expect(report).toMatchObject({ sent: 2, rewrapped: 2 });
    expect(sent[0]?.key).toBe('k');
    expect(JSON.parse(String(sent[0]?.value))).toMatchObject({ id: 'new', source: 'tuicallkit', app_id: '1', received_at: 5 });
    expect(sent[1]?.value).toEqual(Buffer.from([1, 2]));
  });

  it('of other topics are not sent: only tasks write calls', async () => {
    const { deps, sent } = world();
    const row = letter('callstream.calls:0:1', { stage: 'row' });
    expect(await replay([row], deps, () => {})).toEqual({ sent: 0, rewrapped: 0, skipped: [row], lost: [] });
    expect(sent).toEqual([]);
  });

  it('of polls are sent as they were: a record may be wrapped anew, media events only their query can tell of', async () => {
    const { deps, sent } = world({ 'callstream.raw.user-event:0:1': 'MEDIA' });
    const media = { stage: 'fold', source: 'user-event' };
    const lost = letter('callstream.raw.user-event:0:2', media);
    const letters = [
      letter('callstream.raw.user-event:0:1', media),
      lost,
      letter('callstream.raw.user-event:0:3', { ...media, stage: 'decode' }),
      letter('callstream.raw.call-record:0:1', { stage: 'fold', source: 'call-record' }),
    ];
    expect(await replay(letters, deps, () => {})).toEqual({ sent: 3, rewrapped: 2, skipped: [], lost: [lost] });
    expect(sent.map(({ value }) => String(value))).toEqual(['MEDIA', '{', expect.stringContaining('"source":"call-record"')]);
  });

  it.each([
    ['decode', 'callstream.raw.tuicallkit', ['frame_invalid', 'schema_unknown', 'avro_invalid', 'exception']],
    [
      'parse',
      'callstream.raw.tuicallkit',
      ['not_utf8', 'not_json', 'not_an_object', 'too_deep', 'no_call_id', 'unknown_event', 'no_event', 'unknown_source'],
    ],
    ['fold', 'callstream.raw.late', ['call_too_large', 'exception']],
    ['row', 'callstream.calls', ['row_invalid', 'row_failed']],
    ['row', 'callstream.call-events', ['row_invalid', 'row_failed']],
  ])('are explained in words: %s of %s', (stage, topic, reasons) => {
    expect(explainStage(stage)).not.toMatch(/Unknown/);
    for (const reason of reasons) {
      expect(explainReason(reason)).not.toBe(reason);
      expect(advise({ stage, reason, topic })).not.toBe('');
    }
  });

  it('are advised on by what is possible', () => {
    const advice = (stage: string, reason: string, topic: string) => advise({ stage, reason, topic });
    expect(advice('row', 'row_invalid', 'callstream.calls')).toMatch(/where the record itself was right, a repair changes nothing/);
    expect(advice('row', 'row_invalid', 'callstream.call-events')).toMatch(/cannot be replayed/);
    expect(advice('decode', 'avro_invalid', 'callstream.calls')).toMatch(/cannot be replayed/);
    expect(advice('decode', 'avro_invalid', 'callstream.raw.late')).toMatch(/then replay/);
    expect(advice('fold', 'call_too_large', 'callstream.raw.late')).not.toMatch(/report/);
    expect(explainReason('something_new')).toBe('something_new');
    expect(explainStage('dance')).toBe('Unknown stage dance.');
  });

  it('show text as text, anything else as hex, and never a control character', () => {
    expect(showBody(Buffer.from('{"a":"é"}\n'))).toBe('{"a":"é"}\n');
    const escaped = showBody(Buffer.from('\u001b[2J'));
    expect(escaped).toContain('1b 5b 32 4a');
    expect(escaped).not.toContain('\u001b');
    expect(showBody(Buffer.from([0xff, 0x41]))).toMatch(/^00000000 {2}ff 41 +\.A$/);
    expect(showBody(Buffer.alloc(600))).toContain('… 88 more bytes');
  });

  it('are named by their origin', () => {
    expect(checkOrigin('callstream.raw.tuicallkit:2:1047')).toBe('callstream.raw.tuicallkit:2:1047');
    expect(() => checkOrigin("x'; DROP")).toThrow(/no origin of a dead letter/);
  });
});

describe('what up prints', () => {
  const { config } = parseConfig(
    'apps: [{ provider: tencent, appId: "7", callbackSecret: hidden-secret }, { provider: aliyun, appId: x }]\ningest: { host: 0.0.0.0 }',
  );
  it('never shows a secret, and only addresses that work from here', () => {
    const text = welcome(config, { demo: false, admin: 'http://127.0.0.1:9090', now: 1_700_000_000_000 });
    expect(text).not.toContain('hidden-secret');
    expect(text).toContain('http://127.0.0.1:8080/callbacks/tuicallkit/<callbackSecret>?sdkappid=7');
    expect(text).not.toContain('curl');
    expect(callbackUrls('http://127.0.0.1:8080', config.apps[1]!)).toEqual(['http://127.0.0.1:8080/callbacks/aliyun-rtc']);
    expect(text).toContain('http://127.0.0.1:8123/play');
  });
  it('shows how to send a call to an app without a secret', () => {
    const demo = parseConfig('apps: [{ provider: tencent, appId: "1400000001" }]').config;
    const text = welcome(demo, { demo: true, admin: 'http://127.0.0.1:9090', now: 1_700_000_000_000 });
    expect(text).toContain(`curl -X POST '${callbackUrls('http://127.0.0.1:8080', demo.apps[0]!)[0]}'`);
    expect(text).toContain('the demo app 1400000001');
    expect(JSON.parse(exampleEvent(1_700_000_000_000))).toMatchObject({ Event: 'start_call', UserId: 'Alice', EventTime: 1_700_000_000 });
  });
});

it('a process that died is quoted by its last words, never those of an earlier life', () => {
  const file = join(dir, 'role.log');
  writeFileSync(
    file,
    '{"level":60,"pid":1,"reason":"old"}\n{"level":60,"pid":2,"reason":"the port is taken"}\n{"level":30,"pid":2,"msg":"stopped"}\n{"cut sh',
  );
  expect(lastWords(file, 2)).toBe('the port is taken');
  expect(lastWords(file, 3)).toBeNull();
  expect(lastWords(join(dir, 'none.log'), 2)).toBeNull();
});

it('progress of work that nobody watches is the last line only, once', () => {
  const { io, written } = terminal();
  const progress = startProgress(io, 'calls', 3);
  progress.update(1);
  progress.update(3, '2 with changes');
  progress.end();
  progress.end();
  expect(written.err).toBe('calls: 3/3 (2 with changes)\n');
});
