import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CallstreamError } from '../domain/errors.js';

/** Folders locked by this very process, whose pid says nothing about a second opening. */
const held = new Set<string>();

interface Owner {
  pid: number;
  /** Of one locking; tells two locks of one process apart. */
  token: string;
  /** Boot id and start time of the process where the system tells them: a pid may be used again. */
  born: string;
}

/** '' where there is no /proc; 'dead' for a zombie. */
function bornOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in parentheses may hold anything. After it: the state, and as the 20th field (22nd in all) the start time.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return 'dead';
    const started = fields[19] ?? '';
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()}/${started}`;
  } catch {
    return '';
  }
}

function isAlive(owner: Owner): boolean {
  // Our own pid in a lock that this process does not hold: a container that was started again. No pid: the file did not survive a power cut.
  if (!(owner.pid > 0) || owner.pid === process.pid) return false;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const born = bornOf(owner.pid);
  return born !== 'dead' && (owner.born === '' || born === '' || born === owner.born);
}

function readOwner(path: string): { text: string; owner: Owner } | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return { text, owner: JSON.parse(text) as Owner };
  } catch {
    return { text, owner: { pid: 0, born: '', token: '' } };
  }
}

/** Links a complete file into place; false when the name is taken. */
function linkOver(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Puts `mine` in the place of a dead owner's lock. Of several processes that try, one at a time may: it holds the claim.
 * @returns the pid of a living process that is doing the same; null: look again
 */
function replaceDead(path: string, deadText: string, mine: string): number | null {
  const claim = `${path}-takeover`;
  if (!linkOver(mine, claim)) {
    const claimer = readOwner(claim);
    if (claimer !== null && isAlive(claimer.owner)) return claimer.owner.pid;
    rmSync(claim, { force: true });
    return null;
  }
  try {
    // Another one may have been here between our look and our claim; its text differs in the token.
    if (readOwner(path)?.text === deadText) renameSync(mine, path);
  } finally {
    rmSync(claim, { force: true });
  }
  return null;
}

/**
 * Makes this process the only user of `dir` (which exists) until the returned function is called or the process dies: the lock of a dead owner is taken over.
 * @throws CallstreamError SPOOL_LOCKED
 */
export function lockFolder(dir: string): () => void {
  const folder = resolve(dir);
  const path = join(folder, 'lock');
  const taken = (pid: number): CallstreamError =>
    new CallstreamError(
      'SPOOL_LOCKED',
      `the spool folder ${folder} is in use by process ${pid}; each ingest process needs a folder of its own`,
    );
  if (held.has(folder)) throw taken(process.pid);

  const token = randomUUID();
  const mine = `${path}-${token}`;
  const text = JSON.stringify({ pid: process.pid, born: bornOf(process.pid), token } satisfies Owner);
  writeFileSync(mine, text);
  try {
    while (!linkOver(mine, path)) {
      const found = readOwner(path);
      if (found === null) continue;
      if (isAlive(found.owner)) throw taken(found.owner.pid);
      const rival = replaceDead(path, found.text, mine);
      if (rival !== null) throw taken(rival);
      if (readOwner(path)?.text === text) break;
    }
  } finally {
    rmSync(mine, { force: true });
  }
  held.add(folder);
  return () => {
    if (held.delete(folder)) unlinkSync(path);
  };
}
