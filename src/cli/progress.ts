import { Presets, SingleBar } from 'cli-progress';
import type { Io } from './io.js';

/** Progress of one long piece of work: a bar for people, a plain line now and then for logs. */
export interface Progress {
  /** @param note what is worth knowing now, for example `12 dead letters` */
  update(done: number, note?: string): void;
  /** The total may become known, or grow, on the way. */
  total(total: number): void;
  end(): void;
}

const LINE_EVERY_MS = 2_000;

/** @param title what is counted, for example `calls` */
export function startProgress(io: Io, title: string, total: number): Progress {
  return io.interactive ? bar(title, total) : lines(io, title, total);
}

function bar(title: string, total: number): Progress {
  const drawn = new SingleBar(
    { format: `  ${title} {bar} {percentage}% {value}/{total} {note}`, hideCursor: true, stream: process.stderr, gracefulExit: false },
    Presets.shades_grey,
  );
  drawn.start(total, 0, { note: '' });
  return {
    update: (done, note) => drawn.update(done, note === undefined ? {} : { note }),
    total: (value) => drawn.setTotal(value),
    end: () => drawn.stop(),
  };
}

function lines(io: Io, title: string, initial: number): Progress {
  let total = initial;
  let last = performance.now();
  let shown = '';
  let latest = '';
  const show = () => {
    if (latest !== shown) io.err(`${latest}\n`);
    shown = latest;
  };
  return {
    update: (done, note) => {
      latest = `${title}: ${done}/${total}${note ? ` (${note})` : ''}`;
      if (performance.now() - last < LINE_EVERY_MS) return;
      last = performance.now();
      show();
    },
    total: (value) => {
      total = value;
    },
    end: show,
  };
}
