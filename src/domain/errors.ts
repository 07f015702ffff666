/**
 * The one error class of the project. `code` is stable and documented; the message may change.
 * Codes are upper snake case, prefixed by the part that raises them (for example `CONFIG_INVALID`, `STREAM_GAP`).
 */
export class CallstreamError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'CallstreamError';
    this.code = code;
  }
}

/** What was thrown, as a sentence: not everything that is thrown is an Error. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
