/** Exit codes of every command; documented in `--help`. */
export const EXIT = {
  ok: 0,
  /** Something failed, or a check found differences. */
  failure: 1,
  /** The command line or the configuration is wrong. */
  usage: 2,
  interrupted: 130,
} as const;
