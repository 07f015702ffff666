import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ENV, LOOPBACK } from '../config/defaults.js';
import { answers } from './http-probe.js';
import { deployFile } from './paths.js';
import { claimPort } from './ports.js';
import { endProcess, launch, untilReady } from './process.js';
import type { Server, ServerOptions } from './server.js';

/** Being told to stop, the engine waits for idle keep-alive connections; what it has acknowledged is safe before that. */
const STOP_PATIENCE_MS = 2_000;

/** Serves HTTP until the end of standard input. */
const SERVE = `SYSTEM START LISTEN HTTP; SELECT count() FROM file('/dev/stdin', LineAsString) FORMAT Null`;

/** Both ends of a FIFO without a name: the engine opens `/dev/stdin` by path, which fails for the socket that Node makes of a 'pipe'. */
function pipe(): { read: number; write: number } {
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
  const port = await claimPort('ClickHouse', options.port, ENV.clickhousePort);
  const dataDir = resolve(options.dataDir);
  mkdirSync(dataDir, { recursive: true });
  const address = `http://${LOOPBACK}:${port}`;
  const logFile = join(options.logDir, 'clickhouse.log');
  const stdin = pipe();
  const running = await launch({
    name: 'ClickHouse',
    command: process.execPath,
    args: [
      deployFile('clickhouse-server.mjs'),
      '--config-file',
      deployFile('clickhouse.xml'),
      '--log-level=warning',
      '--path',
      dataDir,
      '--query',
      SERVE,
      '--',
      `--http_port=${port}`,
      `--listen_host=${LOOPBACK}`,
    ],
    cwd: dataDir,
    stdin: stdin.read,
    logFile,
  });
  let open = true;
  const closeStdin = () => {
    if (open) closeSync(stdin.write);
    open = false;
  };
  void running.exited.then(closeStdin);
  await untilReady(running, () => answers(`${address}/ping`));
  return {
    pid: running.pid,
    port,
    address,
    logFile,
    exited: running.exited,
    kill: running.kill,
    stop: () => endProcess(running, closeStdin, STOP_PATIENCE_MS),
  };
}
