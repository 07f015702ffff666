#!/usr/bin/env node
import { EXIT } from './exit.js';
import { runCli } from './program.js';

const stopping = new AbortController();
let signals = 0;
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    signals += 1;
    // The second Ctrl-C is meant: nothing is waited for any more.
    if (signals > 1) process.exit(EXIT.interrupted);
    stopping.abort();
  });
}

process.exit(
  await runCli(process.argv.slice(2), {
    env: process.env,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    interactive: process.stderr.isTTY === true,
    signal: stopping.signal,
  }),
);
