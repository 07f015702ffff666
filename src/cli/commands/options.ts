import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { CONFIG_FILE, ConfigError, DATA_DIR, ENV, type Loaded, loadConfig } from '../../config/index.js';
import type { Io } from '../io.js';

export interface ConfigOption {
  config?: string;
}

export const withConfig = (command: Command): Command =>
  command.option('-c, --config <file>', `configuration file (default: ${CONFIG_FILE}, when it is there)`);

/** Where `up` keeps the configuration of its demo app, so that its roles and other commands can read it. */
export const demoFile = (dataDir: string): string => join(dataDir, 'demo.yaml');

/** Variables that name a server of somebody's own. */
const SERVERS = [ENV.kafkaBrokers, ENV.registryUrl, ENV.clickhouseUrl] as const;

/**
 * The configuration that a command about a running system wants: the file, else that of the demo which `up` has left in the data folder, else, where
 * nothing names a server, the demo on the servers of `up`. Named servers without any configuration are somebody's real ones: those are never touched.
 * @throws ConfigError CONFIG_NOT_FOUND, CONFIG_INVALID
 */
export function loadForClient(io: Io, options: ConfigOption): Loaded {
  const left = demoFile(io.env[ENV.dataDir] || DATA_DIR);
  const file = options.config ?? (!existsSync(CONFIG_FILE) && existsSync(left) ? left : undefined);
  const named = SERVERS.filter((name) => (io.env[name] ?? '') !== '');
  if (file === undefined && named.length > 0 && !existsSync(CONFIG_FILE)) {
    throw new ConfigError('CONFIG_NOT_FOUND', CONFIG_FILE, [
      {
        path: '',
        message: `there is no such file here, and ${named.join(', ')} ${named.length === 1 ? 'names a server' : 'name servers'}: the demo configuration is not for those. Write the file (docs/configuration.md), or name one with --config FILE`,
      },
    ]);
  }
  return loadConfig({ file, env: io.env, demo: true });
}
