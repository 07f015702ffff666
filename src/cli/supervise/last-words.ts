import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';

const TAIL_BYTES = 16 * 1024;
const FATAL = 60;

/** Why a process ended, from the end of its log: the `reason` of the last fatal line of the log, when that is the log of its last life. */
export function lastWords(logFile: string, pid: number | undefined): string | null {
  if (!existsSync(logFile)) return null;
  for (const text of tail(logFile).split('\n').toReversed()) {
    if (!text.startsWith('{')) continue;
    try {
      const line = JSON.parse(text) as { level?: number; pid?: number; reason?: string };
      if (line.pid !== pid) return null;
      if (line.level === FATAL && typeof line.reason === 'string') return line.reason;
    } catch {
      // A line cut short by the end of the process.
    }
  }
  return null;
}

function tail(file: string): string {
  const fd = openSync(file, 'r');
  try {
    const { size } = fstatSync(fd);
    const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
    readSync(fd, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString('utf8');
  } finally {
    closeSync(fd);
  }
}
