import type { Io } from '../../src/cli/io.js';

export interface Written {
  out: string;
  err: string;
}

/** A terminal that nobody sits at: what a command writes is kept. */
export function terminal(env: NodeJS.ProcessEnv = {}): { io: Io; written: Written } {
  const written = { out: '', err: '' };
  const io: Io = {
    env,
    out: (text) => {
      written.out += text;
    },
    err: (text) => {
      written.err += text;
    },
    interactive: false,
    signal: new AbortController().signal,
  };
  return { io, written };
}
