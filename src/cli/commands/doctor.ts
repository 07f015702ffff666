import { createLogger } from '../../telemetry/log.js';
import { checkClickHouse } from '../doctor/clickhouse.js';
import { checkConfig, checkDisk } from '../doctor/config.js';
import { type Finding, formatFinding } from '../doctor/finding.js';
import { checkKafka } from '../doctor/kafka.js';
import { checkRegistry } from '../doctor/registry.js';
import { checkRoles } from '../doctor/roles.js';
import { EXIT } from '../exit.js';
import { type Io, line } from '../io.js';
import type { Register } from '../program.js';
import { type ConfigOption, loadForClient, withConfig } from './options.js';

export const doctor: Register = (program, action) => {
  withConfig(
    program
      .command('doctor')
      .summary('check every connection, permission, schema, clock and setting')
      .description('Checks every connection, permission, schema, clock and configuration value, and says what to do. Changes nothing.'),
  )
    .addHelpText(
      'after',
      `
The exit code is 1 when there is a problem; warnings alone leave it 0.

Examples:
  $ callstream doctor --config production.yaml`,
    )
    .action(action(examine));
};

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
  tell(await checkRoles(config));
  const count = (level: Finding['level']): number => all.filter((f) => f.level === level).length;
  const [problems, warnings] = [count('problem'), count('warning')];
  line(io, `\n${problems === 0 && warnings === 0 ? 'All is well.' : `${problems} problems, ${warnings} warnings.`}`);
  return problems > 0 ? EXIT.failure : EXIT.ok;
}
