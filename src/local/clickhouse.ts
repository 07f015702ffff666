import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerOptions } from './kafka.js';
import { deployFile } from './paths.js';
import { claimPort, LOOPBACK } from './ports.js';
import { endProcess, type Launch, launch, type Server, untilReady } from './process.js';

const STOP_TIMEOUT_MS = 30_000;

/** The engine opens `/dev/stdin` and reads to its end, so it lives as long as our end of this FIFO (a socket, which Node would use, cannot be opened so). */
function lifeline(): { read: number; write: number } {
  const dir = mkdtempSync(join(tmpdir(), 'callstream-'));
  try {
    const path = join(dir, 'stdin');
    execFileSync('mkfifo', [path]);
    // Opening one end waits for the other; opening both at once does not.
    const both = openSync(path, 'r+');
    const read = openSync(path, 'r');
    const write = openSync(path, 'w');
    closeSync(both);
    return { read, write };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/**
 * Starts ClickHouse (the real engine, from npm `chdb`) in a child Node process and waits until it answers over HTTP.
 * `address` is `http://127.0.0.1:PORT`.
 * @throws CallstreamError LOCAL_PORT_TAKEN, LOCAL_START_FAILED
 */
export async function startClickHouse(options: ServerOptions): Promise<Server> {
  const port = await claimPort('ClickHouse', options.port, 'CALLSTREAM_CLICKHOUSE_PORT');
  mkdirSync(options.dataDir, { recursive: true });
  const address = `http://${LOOPBACK}:${port}`;
  const { read, write } = lifeline();
  let open = true;
  const close = () => {
    if (open) closeSync(write);
    open = false;
  };
  const launched: Launch = {
    name: 'ClickHouse',
    command: process.execPath,
    args: [
      deployFile('clickhouse-server.mjs'),
      '--path',
      options.dataDir,
      '--query',
      "SYSTEM START LISTEN HTTP; SELECT count() FROM file('/dev/stdin', LineAsString) FORMAT Null",
      '--',
      `--http_port=${port}`,
      `--listen_host=${LOOPBACK}`,
    ],
    cwd: options.dataDir,
    stdin: read,
    logFile: join(options.logDir, 'clickhouse.log'),
  };
  const running = await launch(launched);
  void running.exited.then(close);
  await untilReady(running, launched, async () => (await fetch(`${address}/ping`)).ok);
  return {
    pid: running.pid,
    port,
    address,
    logFile: launched.logFile,
    exited: running.exited,
    kill: (signal) => {
      running.child.kill(signal);
    },
    stop: async () => {
      await endProcess(running, close, STOP_TIMEOUT_MS);
    },
  };
}
