import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type App, type Config, formatDuration, isLoopback, type Loaded } from '../../config/index.js';
import { hasCredentials } from '../../poll/index.js';
import { POLLED_SOURCES, SOURCES } from '../../sources/registry.js';
import { type Finding, ok, problem, warning } from './finding.js';

const SHORT_SECRET = 16;
/** Of a key that nobody can find by trying: as many characters as 128 random bits take in hexadecimal. */
const SHORT_KEY = 32;
const GIB = 1024 ** 3;

/** Values that are valid, and still not wise. */
export function checkConfig({ config, file, demo, explicit }: Loaded): Finding[] {
  const findings: Finding[] = [
    demo
      ? warning(
          'configuration',
          'no file: the demo app is used',
          'write ./callstream.yaml (docs/configuration.md), or name a file with --config',
        )
      : ok('configuration', `${file}: ${config.apps.length} app${config.apps.length === 1 ? '' : 's'}`),
  ];
  config.apps.forEach((app, i) => {
    const open = !isLoopback(config.ingest.host);
    if (open && app.callbackSecret === undefined && app.allowFrom === undefined) {
      findings.push(
        warning(
          `apps[${i}]`,
          `anyone who reaches ${config.ingest.host}:${config.ingest.port} can send callbacks of app ${app.appId}`,
          'set callbackSecret, allowFrom, or both',
        ),
      );
    }
    if (app.callbackSecret !== undefined && app.callbackSecret.length < SHORT_SECRET) {
      findings.push(
        warning(`apps[${i}]`, `callbackSecret is shorter than ${SHORT_SECRET} characters`, 'take a longer one: openssl rand -hex 24'),
      );
    }
  });
  findings.push(...checkTransport(config), ...checkPolling(config, explicit), ...checkPrivacy(config), ...checkUnread(config));
  return findings;
}

/** Settings of `polling` that do nothing, or less than they say. */
function checkPolling({ apps, polling }: Config, explicit: ReadonlySet<string>): Finding[] {
  const sets = (name: string): boolean => explicit.has(`polling.${name}`);
  const has = (section: 'records' | 'cloudApi'): boolean => apps.some((app) => app.provider === 'tencent' && app[section] !== undefined);
  const findings: Finding[] = [];
  const warn = (is: string, todo: string): void => void findings.push(warning('polling', is, todo));
  if (!hasCredentials(POLLED_SOURCES, apps)) {
    if ([...explicit].some((path) => path.startsWith('polling.')))
      warn('nothing is polled', 'give an app records, cloudApi or api: its credentials for the vendor’s APIs');
    return findings;
  }
  if (sets('userEvents') && polling.userEvents !== 'off' && !has('cloudApi'))
    warn(
      `userEvents is ${polling.userEvents}, but no app has cloudApi to fetch them with`,
      'give the apps cloudApi, or set userEvents: off',
    );
  if (polling.recordSample > 0 && !has('records'))
    warn('recordSample is set, but no app has records to fetch them with', 'give the apps records, or leave recordSample out');
  for (const { name, sweeping, limits } of POLLED_SOURCES.filter((source) => hasCredentials([source], apps))) {
    if (sweeping !== null && polling.backfillOnStart > limits.lookBackMs)
      warn(
        `backfillOnStart is ${formatDuration(polling.backfillOnStart)}, but the vendor answers ${name} ${formatDuration(limits.lookBackMs)} back`,
        'nothing, or make it shorter',
      );
  }
  return findings;
}

/** How users are named in what is stored. Never shows the key. */
function checkPrivacy({ privacy }: Config): Finding[] {
  const { key, pseudonymiseUsers } = privacy;
  if (key === undefined) return [];
  const users = pseudonymiseUsers ? 'users go by pseudonyms' : 'users go by their ids; those of forget-user by pseudonyms';
  return [
    key.length < SHORT_KEY
      ? warning(
          'privacy',
          `${users}; the key is shorter than ${SHORT_KEY} characters`,
          'take a longer one before there are pseudonyms: openssl rand -hex 32. With another key every user gets another pseudonym',
        )
      : ok('privacy', users),
  ];
}

/** What a user may think is in force, and is not. */
function checkUnread(config: Config): Finding[] {
  const silent = config.apps.flatMap((app, i) => (hasCallbacks(app) ? [] : [`apps[${i}]`]));
  return [
    ...(silent.length === 0
      ? []
      : [warning('no callbacks', `${silent.join(', ')}: this version takes none of the provider`, 'nothing: a later version does')]),
  ];
}

const hasCallbacks = (app: App): boolean => SOURCES.some((source) => source.provider === app.provider && source.webhook !== undefined);

function checkTransport(config: Config): Finding[] {
  const findings: Finding[] = [];
  const remote = config.kafka.brokers.some((broker) => !isLoopback(broker.slice(0, broker.lastIndexOf(':'))));
  if (remote && config.kafka.sasl !== undefined && !config.kafka.ssl) {
    findings.push(warning('kafka', 'password and calls travel in clear text', 'set kafka.ssl: true'));
  }
  for (const [name, section] of [
    ['registry', config.registry],
    ['clickhouse', config.clickhouse],
  ] as const) {
    const url = new URL(section.url);
    if (url.protocol === 'http:' && !isLoopback(url.hostname) && (section.password ?? '') !== '') {
      findings.push(warning(name, `the password travels to ${url.host} in clear text`, `use an https:// address in ${name}.url`));
    }
  }
  return findings;
}

/** The folder of the spool: where callbacks go while Kafka is away. */
export function checkDisk({ dataDir }: Config): Finding[] {
  let existing = dataDir;
  while (!existsSync(existing) && dirname(existing) !== existing) existing = dirname(existing);
  try {
    accessSync(existing, constants.W_OK);
  } catch {
    return [problem('data folder', `${dataDir} cannot be written`, 'change its owner, or set CALLSTREAM_DATA_DIR')];
  }
  const { bavail, bsize } = statfsSync(existing);
  const free = (bavail * bsize) / GIB;
  const text = `${dataDir}: ${free.toFixed(1)} GiB free`;
  return [free < 2 ? warning('data folder', text, 'the spool takes up to 1 GiB while Kafka is away: make room') : ok('data folder', text)];
}
