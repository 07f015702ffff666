import type { AlertSilence } from '../../codec/generated.js';
import { formatDuration } from '../../config/index.js';
import { rulesOf } from '../../domain/alert-rules.js';
import { CallstreamError } from '../../domain/errors.js';
import { systemClock } from '../../telemetry/clock.js';
import { createLogger } from '../../telemetry/log.js';
import { inUnit } from '../../workers/alerts/messages.js';
import { sendTest, silencesInForce, writeSilence } from '../alert-desk.js';
import { EXIT } from '../exit.js';
import { type Io, line } from '../io.js';
import { openClickHouse, openProducer } from '../parts.js';
import type { Register } from '../program.js';
import { type ConfigOption, loadForClient, withConfig } from './options.js';
import { count, duration } from './parse.js';

interface AppOption extends ConfigOption {
  app?: string;
}

const LIMIT = 20;

export const alerts: Register = (program, action) => {
  const command = program
    .command('alerts')
    .summary('what fires, the rules, silences, and a test of a webhook')
    .description('Shows which alerts fire and which rules are in force, silences rules for webhooks, and tries a webhook out.')
    .addHelpText(
      'after',
      `
A silence keeps webhooks quiet: alerts still fire and resolve on callstream.alerts and in ClickHouse, marked as silenced.
docs/alerts.md explains rules and webhooks.

Examples:
  $ callstream alerts list
  $ callstream alerts silence missed-rate --for 2h --comment 'load test'
  $ callstream alerts test ops`,
    );
  withConfig(command.command('list').description('Alerts that fire, the last ones that resolved, and the silences in force.'))
    .option('--limit <n>', `how many that resolved`, count, LIMIT)
    .action(action(list));
  withConfig(
    command.command('rules').description('The rules in force: the built-in ones, as the configuration changes them, and its own.'),
  ).action(action(rules));
  withConfig(
    command.command('silence').description('Keeps webhooks quiet about a rule for a while.').argument('<rule>', 'name of the rule'),
  )
    .requiredOption('--for <duration>', 'for how long: 30m, 2h, 3d …', duration)
    .option('--app <app>', 'for this app only')
    .option('--comment <text>', 'why', '')
    .action(action((io, rule: string, options: AppOption & { for: number; comment: string }) => silence(io, rule, options)));
  withConfig(command.command('unsilence').description('Ends a silence now.').argument('<rule>', 'name of the rule'))
    .option('--app <app>', 'the one of this app')
    .action(action((io, rule: string, options: AppOption) => silence(io, rule, { ...options, for: 0, comment: '' })));
  withConfig(
    command
      .command('test')
      .description('Sends a test to a webhook, signed as every other, and says what it answers.')
      .argument('<webhook>', 'its name'),
  ).action(action(tryOut));
};

interface AlertRow {
  rule: string;
  app_id: string;
  state: string;
  metric: string;
  value: number;
  threshold: number;
  fired: number;
  resolved: number | null;
  silenced: boolean;
}

async function list(io: Io, options: ConfigOption & { limit: number }): Promise<number> {
  const { config } = loadForClient(io, options);
  const clickhouse = openClickHouse(config);
  try {
    const rows = await clickhouse.query<AlertRow>(
      `SELECT rule, app_id, state, metric, value, threshold, toUnixTimestamp64Milli(t.fired_at) AS fired, toUnixTimestamp64Milli(t.resolved_at) AS resolved, silenced
       FROM alerts AS t ORDER BY state = 'firing' DESC, t.fired_at DESC LIMIT {limit:UInt32} BY state = 'firing'`,
      { limit: Math.max(options.limit, 1_000) },
    );
    const firing = rows.filter(({ state }) => state === 'firing');
    const resolved = rows.filter(({ state }) => state !== 'firing').slice(0, options.limit);
    line(io, firing.length === 0 ? 'Nothing fires.' : `${firing.length} firing:`);
    for (const row of firing) line(io, `  ${describe(row)}`);
    if (resolved.length > 0) line(io, `\nResolved last:`);
    for (const row of resolved) line(io, `  ${describe(row)}`);
    const now = Date.now();
    const silences = await silencesInForce(config, now, createLogger({ level: 'error' }));
    if (silences.length > 0) line(io, '\nSilences:');
    for (const { rule, app_id, until, comment } of silences)
      line(io, `  ${rule}, ${app_id === '' ? 'every app' : `app ${app_id}`}, until ${iso(until)}${comment === '' ? '' : `: ${comment}`}`);
    return EXIT.ok;
  } finally {
    await clickhouse.close();
  }
}

const iso = (ms: number): string => new Date(ms).toISOString();

const describe = ({ rule, app_id, metric, value, threshold, fired, resolved, silenced }: AlertRow): string =>
  `${iso(fired)}  ${rule}  app ${app_id}  ${metric} ${inUnit(value, metric)} (threshold ${inUnit(threshold, metric)})${
    resolved === null ? '' : `, resolved ${iso(resolved)}`
  }${silenced ? ', silenced' : ''}`;

async function rules(io: Io, options: ConfigOption): Promise<number> {
  const { config } = loadForClient(io, options);
  for (const { name, metric, threshold, window, minimum, for: hold, apps } of rulesOf(config.alerts)) {
    line(
      io,
      `${name}: ${metric} above ${inUnit(threshold, metric)} over ${formatDuration(window)}, n at least ${minimum}, for ${formatDuration(hold)}${
        apps === null ? '' : `, apps ${apps.join(', ')}`
      }`,
    );
  }
  return EXIT.ok;
}

/** @param options.for 0 ends it */
async function silence(io: Io, rule: string, options: AppOption & { for: number; comment: string }): Promise<number> {
  const { config } = loadForClient(io, options);
  const known = rulesOf(config.alerts).map(({ name }) => name);
  if (!known.includes(rule)) {
    io.err(`callstream: no rule ${rule} is in force. Rules are ${known.join(', ')}\n`);
    return EXIT.usage;
  }
  const app_id = options.app ?? '';
  if (app_id !== '' && !config.apps.some(({ appId }) => appId === app_id)) {
    io.err(`callstream: the configuration has no app ${app_id}\n`);
    return EXIT.usage;
  }
  const logger = createLogger({ level: 'error' });
  const producer = openProducer(config, logger);
  try {
    const now = Date.now();
    const value: AlertSilence = { rule, app_id, until: now + options.for, comment: options.comment, updated_at: now };
    await writeSilence(config, producer, value, logger);
    const where = app_id === '' ? 'every app' : `app ${app_id}`;
    line(
      io,
      options.for === 0 ? `${rule} is not silenced any more for ${where}.` : `${rule} is silenced for ${where} until ${iso(value.until)}.`,
    );
    return EXIT.ok;
  } finally {
    await producer.close();
  }
}

async function tryOut(io: Io, name: string, options: ConfigOption): Promise<number> {
  const { config } = loadForClient(io, options);
  const webhook = config.webhooks.find((each) => each.name === name);
  if (webhook === undefined) {
    const names = config.webhooks.map((each) => each.name);
    io.err(`callstream: no webhook ${name}${names.length === 0 ? ': the configuration has none' : `. Webhooks are ${names.join(', ')}`}\n`);
    return EXIT.usage;
  }
  const result = await sendTest(webhook, systemClock, io.signal);
  if (result.kind !== 'delivered') throw new CallstreamError('WEBHOOK_FAILED', `webhook ${name}: ${result.why}`);
  line(io, `${name} answers ${result.status}.`);
  return EXIT.ok;
}
