/** What commands may touch of the outside, so that tests can stand in for it. */
export interface Io {
  env: NodeJS.ProcessEnv;
  /** Results. */
  out(text: string): void;
  /** Errors and remarks. */
  err(text: string): void;
  /** A person watches: progress may be drawn. */
  interactive: boolean;
  /** Aborted by the first Ctrl-C or SIGTERM. */
  signal: AbortSignal;
}

export const line = (io: Io, text = ''): void => io.out(`${text}\n`);

/** Resolves when the signal comes, or has come. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
