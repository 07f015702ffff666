import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { openCodec } from '../../codec/codec.js';
import { TOPICS } from '../../codec/topics.js';
import { CallstreamError } from '../../domain/errors.js';
import { createLogger } from '../../telemetry/log.js';
import { advise, explainReason, explainStage, showBody } from '../dead-letters/explain.js';
import { checkOrigin, countDeadLetters, type DeadLetterFilter, readDeadLetters } from '../dead-letters/read.js';
import { replay } from '../dead-letters/replay.js';
import { EXIT } from '../exit.js';
import { type Io, line } from '../io.js';
import { groupOf, kafkaConnection, openClickHouse, openProducer, openRegistry } from '../parts.js';
import type { Register } from '../program.js';
import { startProgress } from '../progress.js';
import { TopicReader } from '../read-topic.js';
import { type ConfigOption, loadForClient, withConfig } from './options.js';
import { count, duration } from './parse.js';

interface FilterOptions extends ConfigOption {
  stage?: string;
  reason?: string;
  app?: string;
  since?: number;
}

const MAX_REPLAY = 100_000;

const withFilter = (command: Command): Command =>
  withConfig(command)
    .option('--stage <stage>', 'decode, parse, fold, row or webhook:<name>')
    .option('--reason <code>', 'for example not_json or unknown_event')
    .option('--app <app>', 'app id')
    .option('--since <duration>', 'received within the last 30m, 24h, 7d …', duration);

const filterOf = (options: FilterOptions): DeadLetterFilter => ({
  stage: options.stage,
  reason: options.reason,
  app: options.app,
  since: options.since === undefined ? undefined : Date.now() - options.since,
});

export const deadLetters: Register = (program, action) => {
  const group = program
    .command('dead-letters')
    .summary('look at what could not be processed, and send it through again')
    .description(
      'Inputs that could not be processed are kept as dead letters, with the reason and the original bytes. Nothing is ever dropped in silence.',
    )
    .addHelpText(
      'after',
      `
Examples:
  $ callstream dead-letters list --since 24h
  $ callstream dead-letters show callstream.raw.tuicallkit:2:1047
  $ callstream dead-letters replay --reason unknown_event --dry-run
  $ callstream dead-letters replay callstream.raw.tuicallkit:2:1047`,
    );

  withFilter(group.command('list').description('Lists dead letters, newest first.'))
    .option('--limit <n>', 'at most so many', count, 50)
    .option('--json', 'one JSON object per line')
    .action(action(list));

  withConfig(group.command('show').description('Explains one dead letter and shows its bytes.'))
    .argument('[origin]', 'topic:partition:offset, as `list` shows it; without it, the newest')
    .action(action(show));

  withFilter(
    group
      .command('replay')
      .description('Sends the original deliveries through again, from the raw topic on. What was understood before is a duplicate then.'),
  )
    .argument('[origins...]', 'topic:partition:offset …; or use the options to choose')
    .option('--all', 'every dead letter')
    .option('--dry-run', 'only say what would be sent')
    .action(action(resend));
};

async function list(io: Io, options: FilterOptions & { limit: number; json?: boolean }): Promise<number> {
  const clickhouse = openClickHouse(loadForClient(io, options).config);
  try {
    const filter = filterOf(options);
    const rows = await readDeadLetters(clickhouse, filter, options.limit);
    if (options.json === true) {
      for (const { body, ...row } of rows) line(io, JSON.stringify({ ...row, body: body.toString('base64') }));
      return EXIT.ok;
    }
    const total = await countDeadLetters(clickhouse, filter);
    if (total === 0) line(io, 'No dead letters.');
    const width = Math.max(6, ...rows.map((r) => r.origin.length));
    if (rows.length > 0) line(io, `${'origin'.padEnd(width)}  ${'received'.padEnd(19)}  ${'stage'.padEnd(6)}  ${'reason'.padEnd(14)}  app`);
    for (const row of rows) {
      const received = new Date(row.received_at).toISOString().slice(0, 19).replace('T', ' ');
      line(io, `${row.origin.padEnd(width)}  ${received}  ${row.stage.padEnd(6)}  ${row.reason.padEnd(14)}  ${row.app_id}`);
    }
    if (total > rows.length) line(io, `… ${total - rows.length} more (--limit ${total})`);
    if (rows[0] !== undefined) io.err(`\nWhy: callstream dead-letters show ${rows[0].origin}\n`);
    return EXIT.ok;
  } finally {
    await clickhouse.close();
  }
}

async function show(io: Io, origin: string | undefined, options: ConfigOption): Promise<number> {
  const clickhouse = openClickHouse(loadForClient(io, options).config);
  try {
    const filter = origin === undefined ? {} : { origins: [checkOrigin(origin)] };
    const letters = await readDeadLetters(clickhouse, filter, origin === undefined ? 1 : 10);
    if (letters.length === 0) {
      if (origin === undefined) {
        line(io, 'No dead letters.');
        return EXIT.ok;
      }
      throw new CallstreamError('DEAD_LETTER_NOT_FOUND', `ClickHouse has no dead letter of ${origin}`);
    }
    for (const letter of letters) {
      const rows: [string, string][] = [
        ['origin', letter.origin],
        ['received', new Date(letter.received_at).toISOString()],
        ['source', `${letter.source || '(unknown)'}, app ${letter.app_id || '(unknown)'}`],
        ['stage', `${letter.stage}: ${explainStage(letter.stage)}`],
        ['reason', `${letter.reason}: ${explainReason(letter.reason)}`],
        ['error', letter.error],
        ['what to do', advise(letter)],
      ];
      for (const [name, value] of rows) line(io, `${name.padEnd(10)}  ${value}`);
      line(io, `\n${letter.body.length} bytes:\n${showBody(letter.body)}\n`);
    }
    return EXIT.ok;
  } finally {
    await clickhouse.close();
  }
}

async function resend(io: Io, origins: string[], options: FilterOptions & { all?: boolean; dryRun?: boolean }): Promise<number> {
  const chosen = options.stage !== undefined || options.reason !== undefined || options.app !== undefined || options.since !== undefined;
  if (origins.length === 0 && !chosen && options.all !== true) {
    io.err('callstream: say which: origins, --stage, --reason, --app, --since, or --all\n');
    return EXIT.usage;
  }
  const { config } = loadForClient(io, options);
  const logger = createLogger({ level: 'error' });
  const clickhouse = openClickHouse(config);
  const producer = openProducer(config, logger);
  const readers = new Map<string, TopicReader>();
  const readerOf = (topic: string): TopicReader => {
    const known = readers.get(topic) ?? new TopicReader(kafkaConnection(config), `${groupOf(config, 'events')}.replay`, topic, logger);
    readers.set(topic, known);
    return known;
  };
  try {
    const filter = { ...filterOf(options), ...(origins.length === 0 ? {} : { origins: origins.map(checkOrigin) }) };
    const letters = await readDeadLetters(clickhouse, filter, MAX_REPLAY);
    const found = new Set(letters.map((l) => l.origin));
    const unknown = origins.filter((origin) => !found.has(origin));
    for (const origin of unknown) io.err(`no dead letter of ${origin}\n`);
    if (options.dryRun === true) {
      for (const letter of letters) line(io, `${letter.origin}  ${letter.stage}  ${letter.reason}`);
      line(io, `${letters.length} dead letters would be sent through again.`);
      return unknown.length > 0 ? EXIT.failure : EXIT.ok;
    }
    const codec = await openCodec(TOPICS.rawTuicallkit, openRegistry(config));
    const progress = startProgress(io, 'deliveries', letters.length);
    const report = await replay(
      letters,
      {
        original: (topic, partition, offset) => readerOf(topic).readOne(partition, offset),
        send: (record) => producer.send([record]),
        codec,
        newId: randomUUID,
      },
      (sent) => progress.update(sent),
      io.signal,
    );
    progress.end();
    line(io, `${report.sent} deliveries sent through again.`);
    if (report.rewrapped > 0)
      line(io, `${report.rewrapped} of them from their dead letters: the raw topic no longer has them, so their query strings are gone.`);
    for (const letter of report.skipped) line(io, `not sent: ${letter.origin} is no delivery. ${advise(letter)}`);
    for (const letter of report.lost)
      line(io, `not sent: the raw topic no longer has ${letter.origin}, and only its query said which call it is about.`);
    return unknown.length > 0 || report.skipped.length > 0 || report.lost.length > 0 ? EXIT.failure : EXIT.ok;
  } finally {
    await Promise.all([producer.close(), clickhouse.close(), ...[...readers.values()].map((reader) => reader.close())]);
  }
}
