import { Presets, SingleBar } from 'cli-progress';
import type { Io } from './io.js';

/** Progress of one long piece of work: a bar for people, a plain line now and then for logs. */
export interface Progress {
  /** @param note what is worth knowing now, for example `12 dead letters` */
  update(done: number, note?: string): void;
  /** May be called again. */
  end(): void;
}

const LINE_EVERY_MS = 2_000;
/** For work without an end. */
const ENDLESS_LINE_EVERY_MS = 30_000;

/**
 * @param title what is counted, for example `calls`
 * @param total null: nobody knows
 */
export function startProgress(io: Io, title: string, total: number | null): Progress {
  return io.interactive && total !== null ? bar(title, total) : lines(io, title, total);
}

function bar(title: string, total: number): Progress {
  const drawn = new SingleBar(
    { format: `  ${title} {bar} {percentage}% {value}/{total} {note}`, hideCursor: true, stream: process.stderr, gracefulExit: false },
    Presets.shades_grey,
  );
  drawn.start(total, 0, { note: '' });
  let open = true;
  return {
    update: (done, note) => {
      if (open) drawn.update(done, note === undefined ? {} : { note });
    },
    end: () => {
      if (open) drawn.stop();
      open = false;
    },
  };
}

function lines(io: Io, title: string, total: number | null): Progress {
  const every = total === null ? ENDLESS_LINE_EVERY_MS : LINE_EVERY_MS;
  let last = performance.now();
  let shown = '';
  let latest = '';
  const show = () => {
    if (latest !== shown) io.err(`${latest}\n`);
    shown = latest;
  };
  return {
    update: (done, note) => {
      latest = `${title}: ${done}${total === null ? '' : `/${total}`}${note ? ` (${note})` : ''}`;
      if (performance.now() - last < every) return;
      last = performance.now();
      show();
    },
    end: show,
  };
}
