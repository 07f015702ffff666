import { createLogger } from '../../telemetry/log.js';
import { checkClickHouse } from '../doctor/clickhouse.js';
import { checkConfig, checkDisk } from '../doctor/config.js';
import { type Finding, formatFinding } from '../doctor/finding.js';
import { Gaps } from '../doctor/gap.js';
import { checkKafka } from '../doctor/kafka.js';
import { checkRegistry } from '../doctor/registry.js';
import { checkRoles } from '../doctor/roles.js';
import { checkVendors } from '../doctor/vendors.js';
import { EXIT } from '../exit.js';
import { type Io, line } from '../io.js';
import type { Register } from '../program.js';
import { type ConfigOption, loadForClient, withConfig } from './options.js';

export const doctor: Register = (program, action) => {
  withConfig(
    program
      .command('doctor')
      .summary('check every connection, permission, schema, clock and setting')
      .description(
        'Checks every connection, permission, schema, clock and configuration value, and says what to do. Without --accept-gap it changes nothing.',
      )
      .option(
        '--accept-gap <topic-and-partition...>',
        'let the tasks that stopped at a gap in this partition go on: a topic and a partition',
      ),
  )
    .addHelpText(
      'after',
      `
A task stops at a gap: inputs that were deleted before it had read them, or a place or a commit that Kafka has forgotten. --accept-gap says
what is lost, has the task rebuild its state from what it has published, and lets it go on.

The exit code is 1 when there is a problem; warnings alone leave it 0.

Examples:
  $ callstream doctor --config production.yaml
  $ callstream doctor --accept-gap callstream.raw.tuicallkit 3`,
    )
    .action(
      action(async (io, options: DoctorOptions) =>
        options.acceptGap === undefined ? examine(io, options) : acceptGap(io, options.acceptGap, options),
      ),
    );
};

interface DoctorOptions extends ConfigOption {
  acceptGap?: string[];
}

async function acceptGap(io: Io, [topic, partition, ...more]: string[], options: ConfigOption): Promise<number> {
  if (topic === undefined || partition === undefined || more.length > 0 || !/^\d{1,5}$/.test(partition)) {
    io.err('callstream: --accept-gap takes a topic and a partition\n');
    return EXIT.usage;
  }
  const { config } = loadForClient(io, options);
  const gaps = new Gaps(config, createLogger({ level: 'error' }));
  try {
    for (const gap of await gaps.accept(topic, Number(partition), Date.now())) {
      line(io, `${gap.worker}, ${gap.topic} partition ${gap.partition}: ${gap.lost}.`);
    }
    line(io, 'Accepted. The task takes up its work again within half a minute, with its state rebuilt from callstream.calls.');
    return EXIT.ok;
  } finally {
    await gaps.close();
  }
}

async function examine(io: Io, options: ConfigOption): Promise<number> {
  const loaded = loadForClient(io, options);
  const { config } = loaded;
  const logger = createLogger({ level: 'silent' });
  const now = () => Date.now();
  const all: Finding[] = [];
  const tell = (findings: readonly Finding[]): void => {
    for (const finding of findings) line(io, formatFinding(finding));
    all.push(...findings);
  };
  tell(checkConfig(loaded));
  tell(checkDisk(config));
  tell(await checkKafka(config, logger, now));
  tell(await checkRegistry(config));
  tell(await checkClickHouse(config, now));
  tell(await checkVendors(config));
  tell(await checkRoles(config));
  const count = (level: Finding['level']): number => all.filter((f) => f.level === level).length;
  const [problems, warnings] = [count('problem'), count('warning')];
  line(io, `\n${problems === 0 && warnings === 0 ? 'All is well.' : `${problems} problems, ${warnings} warnings.`}`);
  return problems > 0 ? EXIT.failure : EXIT.ok;
}
