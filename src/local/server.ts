/** How a server process ended. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A running server of the embedded stack. */
export interface Server {
  /** The process that serves (not a wrapper), for signals and for reading its memory. */
  readonly pid: number;
  readonly port: number;
  /** What clients are given: `host:port` for Kafka, a base URL for the others. */
  readonly address: string;
  readonly logFile: string;
  /** Ends the server cleanly, or by force when it does not come to an end, and waits until it is gone; a no-op when it is gone already. */
  stop(): Promise<void>;
  /** Sends a signal; returns at once. Await `exited` to know that it is gone. */
  kill(signal: NodeJS.Signals): void;
  /** Resolves when the process has ended, for whatever reason; never rejects. */
  readonly exited: Promise<Exit>;
}

/** Where a server of the stack keeps its things. */
export interface ServerOptions {
  /** Created when missing; a later start on the same folder continues with the same data. */
  dataDir: string;
  /** Of 127.0.0.1; 0 takes a free one. */
  port: number;
  /** Folder for the server's log file, which is created when missing. */
  logDir: string;
}
