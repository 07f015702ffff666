import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { CONFIG_FILE, DATA_DIR, type Loaded, loadConfig } from '../../config/index.js';
import type { Io } from '../io.js';

export interface ConfigOption {
  config?: string;
}

export const withConfig = (command: Command): Command =>
  command.option('-c, --config <file>', `configuration file (default: ${CONFIG_FILE}, when it is there)`);

/** Where `up` keeps the configuration of its demo app, so that its roles and other commands can read it. */
export const demoFile = (dataDir: string): string => join(dataDir, 'demo.yaml');

/** The configuration that a command about a running system wants: the file, else that of the demo which `up` has left, else the demo's. */
export function loadForClient(io: Io, options: ConfigOption): Loaded {
  const left = demoFile(DATA_DIR);
  const file = options.config ?? (!existsSync(CONFIG_FILE) && existsSync(left) ? left : undefined);
  return loadConfig({ file, env: io.env, demo: true });
}
