#!/usr/bin/env -S node --enable-source-maps --max-semi-space-size=64
import { EXIT } from './exit.js';
import { stopWithNpm } from './orphan.js';
import { runCli } from './program.js';

/** One Ctrl-C may arrive twice: from the terminal, and passed on by npm. */
const SAME_KEY_MS = 1_000;

const stopping = new AbortController();
let first = 0;
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    // A second one is meant: nothing is waited for any more.
    if (stopping.signal.aborted && performance.now() - first > SAME_KEY_MS) process.exit(EXIT.interrupted);
    if (!stopping.signal.aborted) first = performance.now();
    stopping.abort();
  });
}

stopWithNpm(process.env, () => stopping.abort());

process.exit(
  await runCli(process.argv.slice(2), {
    env: process.env,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    interactive: process.stderr.isTTY === true,
    signal: stopping.signal,
  }),
);
