import { join } from 'node:path';
import { readFrames, type SpoolEntry } from './spool-format.js';
import type { SpoolFile, SpoolFs } from './spool-fs.js';

/** A read never needs more than this, unless one record is larger. */
const WINDOW_BYTES = 1024 * 1024;

const NAME = /^spool-(\d{16})\.seg$/;

/** Sequence number of a segment file; null for any other file. */
export function sequenceOf(fileName: string): number | null {
  const match = NAME.exec(fileName);
  return match ? Number(match[1]) : null;
}

/** What one read found, in order. */
export interface SegmentRead {
  entries: SpoolEntry[];
  /** Position after what was read. */
  end: number;
  /** Bad records passed over that no earlier read had met. */
  bad: number;
}

/**
 * One append-only file of the spool. It only knows its bytes; the order of segments, the bounds and the moments of
 * deletion are the spool's.
 */
export class Segment {
  readonly name: string;
  /** Bytes that are on the disk and hold whole records. */
  size = 0;
  /** Where reading goes on. */
  position = 0;
  /** Records from `position` on. */
  events = 0;
  /** Time of the oldest record from the start. */
  oldestAt: number | null = null;
  /** Something in here could not be read: the file is set aside when it is done, not deleted. */
  damaged = false;
  readonly #fs: SpoolFs;
  readonly #path: string;
  readonly #badAt = new Set<number>();
  #file: SpoolFile | null = null;

  constructor(fs: SpoolFs, dir: string, sequence: number) {
    this.name = `spool-${String(sequence).padStart(16, '0')}.seg`;
    this.#fs = fs;
    this.#path = join(dir, this.name);
  }

  /** A new, empty file. */
  async create(): Promise<void> {
    this.#file = await this.#fs.open(this.#path, 'create');
  }

  /** Checks every byte of a file that an earlier process left; cuts a torn tail. Resolves to what was found. */
  async recover(): Promise<{ bad: number; cut: number }> {
    this.#file = await this.#fs.open(this.#path, 'existing');
    const length = await this.#file.size();
    const buffer = await this.#file.read(0, length);
    let cut = 0;
    for (const frame of readFrames(buffer)) {
      if (frame.kind === 'torn') {
        cut = frame.end - frame.start;
        await this.#file.truncate(frame.start);
        await this.#file.sync();
        break;
      }
      this.size = frame.end;
      if (frame.kind === 'bad') this.#badAt.add(frame.start);
      else {
        this.events++;
        this.oldestAt ??= frame.at;
      }
    }
    this.damaged = this.#badAt.size > 0;
    return { bad: this.#badAt.size, cut };
  }

  /** Durable when it resolves. After a failure nothing more may be appended: what the disk holds beyond `size` is unknown. */
  async append(entries: readonly SpoolEntry[], bytes: Buffer, written: () => void | Promise<void>): Promise<void> {
    if (this.#file === null) throw new Error(`${this.name} is not open`);
    await this.#file.write(bytes, this.size);
    await written();
    await this.#file.sync();
    this.size += bytes.length;
    this.events += entries.length;
    this.oldestAt ??= entries[0]?.at ?? null;
  }

  /** Best effort after a failed append, so that a restart does not find what was never acknowledged. */
  async cutToSize(): Promise<void> {
    await this.#file?.truncate(this.size).catch(() => undefined);
  }

  /** The next records, at most `maxRecords` and about `maxBytes`; reads on over bad ones. */
  async read(maxRecords: number, maxBytes: number): Promise<SegmentRead> {
    this.#file ??= await this.#fs.open(this.#path, 'existing');
    const from = this.position;
    const to = this.size;
    const window = await this.#file.read(from, Math.min(Math.max(WINDOW_BYTES, maxBytes), to - from));
    const limits = { maxRecords, maxBytes };
    const result = this.#collect(window, from, from + window.length >= to ? to : null, limits);
    if (result.end > from || from === to) return result;
    // Not even one record fits the window, or damage reaches over its end.
    return this.#collect(await this.#file.read(from, to - from), from, to, limits);
  }

  /** @param to end of the segment, which the buffer must reach; null: the buffer is a window that ends somewhere */
  #collect(buffer: Buffer, from: number, to: number | null, limits: { maxRecords: number; maxBytes: number }): SegmentRead {
    const whole = to !== null;
    const result: SegmentRead = { entries: [], end: from, bad: 0 };
    let bytes = 0;
    for (const frame of readFrames(buffer)) {
      if (whole && frame.kind === 'torn') break;
      if (!whole && (frame.kind === 'torn' || (frame.kind === 'bad' && frame.end === buffer.length))) return result;
      if (frame.kind === 'record') {
        if (result.entries.length >= limits.maxRecords || (bytes > 0 && bytes + frame.payload.length > limits.maxBytes)) return result;
        bytes += frame.payload.length;
        result.entries.push({ at: frame.at, payload: frame.payload });
      } else if (!this.#badAt.has(from + frame.start)) {
        // It was whole when it was written: the disk has lost it since.
        this.#badAt.add(from + frame.start);
        this.damaged = true;
        result.bad++;
      }
      result.end = from + frame.end;
    }
    if (whole && result.end < to) {
      // Someone has cut the file: what is missing can only be counted as one.
      this.damaged = true;
      result.bad++;
      result.end = to;
    }
    return result;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }

  /** Deletes the file; a damaged one moves into `quarantine` instead. */
  async discard(quarantine: string): Promise<void> {
    await this.close().catch(() => undefined);
    if (this.damaged) await this.#fs.rename(this.#path, join(quarantine, this.name));
    else await this.#fs.remove(this.#path);
  }
}
