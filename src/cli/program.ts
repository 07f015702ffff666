import { Command, CommanderError } from 'commander';
import { ConfigError } from '../config/index.js';
import { COMMANDS } from './commands/index.js';
import { EXIT } from './exit.js';
import { explainError } from './explain-error.js';
import type { Io } from './io.js';
import { version } from './version.js';

/** Adds itself to the program. The action resolves to an exit code. */
export type Register = (program: Command, action: ActionOf) => void;
/** Wraps an action so that its result becomes the exit code of the program. */
export type ActionOf = <A extends unknown[]>(run: (io: Io, ...args: A) => Promise<number>) => (...args: A) => Promise<void>;

const EPILOGUE = `
Exit codes: 0 done, 1 failed or differences found, 2 wrong command line or configuration.

Start here:
  $ callstream up --simulate        everything on this machine, with simulated calls
  $ callstream doctor               is everything reachable, allowed, and set up well?

Configuration: ./callstream.yaml, or --config FILE; docs/configuration.md explains every field.`;

/**
 * Runs one command line; resolves to the exit code. Never rejects: whatever goes wrong is said on `io.err`.
 * @param args without `node` and the script
 */
export async function runCli(args: readonly string[], io: Io): Promise<number> {
  let exitCode: number = EXIT.ok;
  const action: ActionOf =
    (run) =>
    async (...given) => {
      exitCode = await run(io, ...given);
    };
  const program = new Command('callstream')
    .description('Real-time call analytics: vendor callbacks in, exact call records out.')
    .version(version(), '-V, --version')
    .addHelpText('after', EPILOGUE)
    .showHelpAfterError('(add --help for what is possible)')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ writeOut: io.out, writeErr: io.err });
  for (const register of COMMANDS) register(program, action);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exitCode;
  } catch (error) {
    return explain(error, io);
  }
}

function explain(error: unknown, io: Io): number {
  // Help and version end the parsing by an exception with code 0; commander has written the message already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof ConfigError) {
    io.err(`callstream: ${error.message}\n`);
    return EXIT.usage;
  }
  io.err(`callstream: ${explainError(error)}\n`);
  return EXIT.failure;
}
